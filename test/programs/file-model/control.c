#define _GNU_SOURCE
#include "control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "report.h"

#define TRIES 6000
#define PAUSE_US 10000
#define ANSWER_BYTES 65536
#define CALL_BYTES 512

static int connect_to(const char *socket_path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(socket_path) >= sizeof address.sun_path) differ("the path of the socket is too long");
  strcpy(address.sun_path, socket_path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) failed("socket");
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

static bool send_call(int fd, const char *path) {
  char text[CALL_BYTES];
  int length = snprintf(text, sizeof text,
                        "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                        "Content-Length: 0\r\n\r\n",
                        path);
  return send(fd, text, (size_t)length, MSG_NOSIGNAL) == length;
}

void control_begin(const char *socket_path, const char *path) {
  // Closed only when the next one begins: then this one has at least been read.
  static int last = -1;
  if (last >= 0) close(last);
  last = connect_to(socket_path);
  if (last >= 0) send_call(last, path);
}

/* Sends one call and reads its answer to the end; false when nobody answers it fully. */
static bool try_post(const char *socket_path, const char *path) {
  int fd = connect_to(socket_path);
  if (fd < 0) return false;
  char text[ANSWER_BYTES];
  bool sent = send_call(fd, path);
  size_t filled = 0;
  while (sent) {
    // Of a long answer only the end counts.
    if (filled > ANSWER_BYTES / 2) {
      memmove(text, text + filled - 1024, 1024);
      filled = 1024;
    }
    ssize_t count = read(fd, text + filled, sizeof text - filled - 1);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    filled += (size_t)count;
  }
  close(fd);
  text[filled] = 0;
  if (strstr(text, "{\"error\":") != NULL) differ("%s was answered: %s", path, text);
  return strstr(text, "{\"done\":") != NULL;
}

void control_post(const char *socket_path, const char *path) {
  for (int tries = 0; tries < TRIES; tries++) {
    if (try_post(socket_path, path)) return;
    usleep(PAUSE_US);
  }
  differ("nobody answers %s at %s", path, socket_path);
}

void control_evict(const char *socket_path, uint64_t ino, enum evict what) {
  char path[64];
  const char *pages = what == EVICT_BLOCKS ? "&pages=keep" : "";
  snprintf(path, sizeof path, "/cache/drop?ino=%lu%s", ino, pages);
  control_post(socket_path, path);
}
