export type Labels = Record<string, string>;
export type Sample = [labels: Labels, value: number];
type Kind = 'counter' | 'gauge' | 'histogram';

/** One metric with its samples; a sample's own `__suffix` label goes behind the name. */
export function family(name: string, kind: Kind, help: string, samples: Sample[]): string {
  const full = `dfs_${name}`;
  const lines = samples.map(([{ __suffix = '', ...labels }, value]) => {
    const inside = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`);
    const braces = inside.length === 0 ? '' : `{${inside.join(',')}}`;
    return `${full}${__suffix}${braces} ${value}\n`;
  });
  return `# HELP ${full} ${help}\n# TYPE ${full} ${kind}\n${lines.join('')}`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
