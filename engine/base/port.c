/* SPDX-License-Identifier: MIT */
/* Finds ports for throw-away servers. */
#include "engine/base/port.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TRIES = 50, POSTGRESQL = 5432 };

/* Binds to the port in address (0: any one) and gives the one it got; 0 on failure. */
static int bind_once(int type, int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_port = htons((uint16_t)port),
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int handle = socket(AF_INET, type | SOCK_CLOEXEC, 0), got = 0;

	if (handle >= 0 && bind(handle, (struct sockaddr *)&address, sizeof address) == 0 &&
	    getsockname(handle, (struct sockaddr *)&address, &length) == 0)
		got = ntohs(address.sin_port);
	if (handle >= 0)
		close(handle);
	return got;
}

int port_free(void)
{
	for (int i = 0; i < TRIES; i++) {
		int port = bind_once(SOCK_STREAM, 0);
		if (port > 0 && port != POSTGRESQL && bind_once(SOCK_DGRAM, port) == port)
			return port;
	}
	return 0;
}
