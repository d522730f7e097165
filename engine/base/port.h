/* SPDX-License-Identifier: MIT */
/* Ports on loopback for servers that are started only for a while. */
#ifndef PLAN_PORT_H
#define PLAN_PORT_H

/* A TCP and UDP port of 127.0.0.1 that was free a moment ago, never 5432; 0 when none could be had.
 */
int port_free(void);

#endif
