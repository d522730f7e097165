/* SPDX-License-Identifier: MIT */
/* Network addresses as they stand in URLs. */
#include "engine/base/address.h"

#include <arpa/inet.h>
#include <string.h>

bool address_is_loopback(const char *host, size_t length)
{
	struct in_addr four;
	struct in6_addr six;
	char bare[64];

	if (length < 3 || length >= sizeof bare)
		return false;
	bool bracketed = host[0] == '[' && host[length - 1] == ']';
	size_t inside = bracketed ? length - 2 : length;
	memcpy(bare, host + bracketed, inside);
	bare[inside] = '\0';
	if (bracketed)
		return inet_pton(AF_INET6, bare, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
	return inet_pton(AF_INET, bare, &four) == 1 && (ntohl(four.s_addr) >> 24) == 127;
}
