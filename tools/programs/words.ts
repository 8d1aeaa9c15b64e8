/** The words of a text, in order. */
export function words(text: string): string[] {
  return text.split(/\s+/).filter(Boolean);
}
