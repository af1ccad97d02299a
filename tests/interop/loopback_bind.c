/* SPDX-License-Identifier: Apache-2.0
 *
 * For LD_PRELOAD: a server that would listen on all addresses listens on loopback only (gnutls-serv has no
 * option for that). Not a part of the product.
 */
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int bind(int fd, const struct sockaddr *address, socklen_t bytes)
{
	struct sockaddr_in four;
	struct sockaddr_in6 six;
	if (address->sa_family == AF_INET && bytes == sizeof four) {
		four = *(const struct sockaddr_in *)(const void *)address;
		four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		address = (const struct sockaddr *)&four;
	} else if (address->sa_family == AF_INET6 && bytes == sizeof six) {
		six = *(const struct sockaddr_in6 *)(const void *)address;
		six.sin6_addr = in6addr_loopback;
		address = (const struct sockaddr *)&six;
	}
	return (int)syscall(SYS_bind, fd, address, bytes);
}
