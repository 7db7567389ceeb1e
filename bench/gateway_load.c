/* Load for the gateway bench: a fake engine, and clients that keep its gateway busy.
 *
 *   gateway_load engine PORT                            answers every POST with the same completion
 *   gateway_load clients PORT CONNECTIONS SECONDS KEY   closed loop; prints one line of JSON
 *
 * One thread and epoll in either part; loopback only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 64 * 1024, CONNECTIONS_MAX = 4096, SAMPLES_MAX = 4 * 1000 * 1000 };

typedef struct {
    int fd;
    size_t have;
    uint64_t began_ns;
    char buffer[BUFFER];
} connection;

static connection *connections[CONNECTIONS_MAX * 2];
static int poll_fd;

static uint64_t now_ns(void) {
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (uint64_t)moment.tv_sec * 1000000000ull + (uint64_t)moment.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static connection *watched(int fd) {
    int on = 1;
    if (fd >= CONNECTIONS_MAX * 2) { errno = EMFILE; fail("connection"); }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (connections[fd] == NULL && (connections[fd] = malloc(sizeof(connection))) == NULL) fail("memory");
    connections[fd]->fd = fd;
    connections[fd]->have = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll");
    return connections[fd];
}

/* Length of the first whole message in the buffer, 0 if it is not whole yet. */
static size_t whole_message(connection *c) {
    char *end = memmem(c->buffer, c->have, "\r\n\r\n", 4);
    if (end == NULL) return 0;
    size_t head = (size_t)(end - c->buffer) + 4, body = 0;
    for (char *line = c->buffer; line < end; line = (char *)memmem(line, (size_t)(end + 2 - line), "\r\n", 2) + 2)
        if (strncasecmp(line, "content-length:", 15) == 0) body = strtoul(line + 15, NULL, 10);
    return head + body <= c->have ? head + body : 0;
}

/* More bytes into the buffer; 0 when the other side has closed. */
static int received(connection *c) {
    for (;;) {
        if (c->have == BUFFER) { fprintf(stderr, "a message over %d bytes\n", BUFFER); exit(1); }
        ssize_t got = read(c->fd, c->buffer + c->have, BUFFER - c->have);
        if (got > 0) { c->have += (size_t)got; continue; }
        if (got < 0 && errno == EAGAIN) return 1;
        return 0;
    }
}

static void sent(int fd, const char *bytes, size_t length) {
    if (send(fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length) return;
}

static size_t answer(char *out, size_t room, const char *body) {
    return (size_t)snprintf(out, room,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        strlen(body), body);
}

static void engine(int port) {
    static char completion[4096], models[1024], totals[256], body[128];
    size_t completion_length = answer(completion, sizeof completion,
        "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":0,\"model\":\"demo-echo\",\"choices\":[{"
        "\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"A gateway meters what it carries, and "
        "carries what it has metered: sixteen tokens here.\"},\"finish_reason\":\"stop\"}],\"usage\":{"
        "\"prompt_tokens\":8,\"completion_tokens\":16,\"total_tokens\":24}}");
    size_t models_length = answer(models, sizeof models, "{\"object\":\"list\",\"data\":[{\"id\":\"demo-echo\"}]}");
    unsigned long requests = 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1, listening = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listening, (struct sockaddr *)&address, sizeof address) < 0 || listen(listening, 4096) < 0) fail("listen");
    watched(listening);
    struct epoll_event events[512];
    for (;;) {
        int ready = epoll_wait(poll_fd, events, 512, -1);
        for (int at = 0; at < ready; at++) {
            int fd = events[at].data.fd;
            if (fd == listening) {
                int caller;
                while ((caller = accept(listening, NULL, NULL)) >= 0) watched(caller);
                continue;
            }
            connection *c = connections[fd];
            if (!received(c)) { close(fd); continue; }
            size_t length;
            while ((length = whole_message(c)) > 0) {
                if (memcmp(c->buffer, "POST", 4) == 0) {
                    requests++;
                    sent(fd, completion, completion_length);
                } else if (memcmp(c->buffer, "GET /totals", 11) == 0) {
                    snprintf(body, sizeof body, "{\"requests\":%lu,\"completion_tokens\":%lu}", requests, requests * 16);
                    sent(fd, totals, answer(totals, sizeof totals, body));
                } else {
                    sent(fd, models, models_length);
                }
                memmove(c->buffer, c->buffer + length, c->have -= length);
            }
        }
    }
}

static int earlier(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void clients(int port, int count, double seconds, const char *key) {
    static char request[4096];
    static const char *body =
        "{\"model\":\"demo-echo\",\"messages\":[{\"role\":\"user\",\"content\":\"How does a gateway meter what it "
        "carries? Answer in one sentence, please, and keep to the point.\"}],\"max_tokens\":64}";
    size_t length = (size_t)snprintf(request, sizeof request,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "Authorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n%s", key, strlen(body), body);
    uint32_t *samples = malloc(SAMPLES_MAX * sizeof *samples);
    if (samples == NULL) fail("memory");
    size_t good = 0, bad = 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int at = 0; at < count; at++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
        watched(fd)->began_ns = now_ns();
        sent(fd, request, length);
    }
    uint64_t began = now_ns(), end = began + (uint64_t)(seconds * 1e9), now = began;
    struct epoll_event events[512];
    while ((now = now_ns()) < end) {
        int ready = epoll_wait(poll_fd, events, 512, 50);
        for (int at = 0; at < ready; at++) {
            connection *c = connections[events[at].data.fd];
            if (!received(c)) { fprintf(stderr, "a connection was closed\n"); exit(1); }
            if (whole_message(c) == 0) continue;
            if (memcmp(c->buffer, "HTTP/1.1 200", 12) != 0) {
                if (bad++ == 0) fprintf(stderr, "%.*s\n", (int)c->have, c->buffer);
            } else if (good < SAMPLES_MAX) {
                samples[good++] = (uint32_t)((now_ns() - c->began_ns) / 1000);
            }
            c->have = 0;
            c->began_ns = now_ns();
            sent(c->fd, request, length);
        }
    }
    qsort(samples, good, sizeof *samples, earlier);
    printf("{\"requests\":%zu,\"bad\":%zu,\"per_second\":%.0f,\"p50_us\":%u,\"p99_us\":%u}\n", good, bad,
           (double)good / ((double)(now - began) / 1e9), good ? samples[good / 2] : 0,
           good ? samples[good * 99 / 100] : 0);
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    poll_fd = epoll_create1(0);
    if (argc == 3 && strcmp(argv[1], "engine") == 0) engine(atoi(argv[2]));
    if (argc == 6 && strcmp(argv[1], "clients") == 0) {
        clients(atoi(argv[2]), atoi(argv[3]), atof(argv[4]), argv[5]);
        return 0;
    }
    fprintf(stderr, "usage: gateway_load engine PORT | clients PORT CONNECTIONS SECONDS KEY\n");
    return 2;
}
