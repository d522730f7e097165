/* SPDX-License-Identifier: MIT */
/* A throw-away authoritative name server (Knot DNS) on loopback that takes signed updates. */
#ifndef PLAN_DNS_NAME_SERVER_H
#define PLAN_DNS_NAME_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

struct arena;
struct error;
struct value;

struct name_server {
	pid_t pid;           /* 0 when it is stopped */
	int port;            /* UDP and TCP of 127.0.0.1 */
	char directory[300]; /* configuration, zone and log */
	char address[32];    /* "127.0.0.1:PORT" */
	char key[128];       /* the TSIG key as a connection takes it: "hmac-sha256:NAME:BASE64" */
};

/* Serves the zone once it returns; it dies with the calling process. records are lines of a zone
 * file ("www.example.com. 3600 IN CNAME target.example.net."), beside SOA and NS, which it has by
 * itself. The directory is made. ERROR_REFUSED when knotd is not installed. */
bool name_server_start(struct name_server *server, const char *directory, const char *zone,
                       const char *records, struct error *err);

/* What it has for the name: MAP type -> {ttl_s, values}. */
bool name_server_ask(const struct name_server *server, const char *name, struct arena *arena,
                     struct value **records, struct error *err);

void name_server_stop(struct name_server *server);

#endif
