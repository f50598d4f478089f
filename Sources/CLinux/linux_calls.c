/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "linux_calls.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

int linux_enter_netns(int fd)
{
	return setns(fd, CLONE_NEWNET);
}

int linux_new_netns(void)
{
	return unshare(CLONE_NEWNET);
}

int linux_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result;

	if (fd < 0)
		return -1;
	result = ioctl(fd, SIOCGIFFLAGS, &request);
	if (result == 0) {
		request.ifr_flags |= IFF_UP;
		result = ioctl(fd, SIOCSIFFLAGS, &request);
	}
	close(fd);
	return result;
}

long long linux_filesystem(const char *path)
{
	struct statfs about;

	if (statfs(path, &about) != 0)
		return -1;
	return (unsigned int)about.f_type;
}

const char *linux_errno_name(int code)
{
	const char *name = strerrorname_np(code);

	return name ? name : "unknown error";
}

const char *linux_errno_text(int code)
{
	const char *text = strerrordesc_np(code);

	return text ? text : "";
}

unsigned long long linux_netns_cookie(void)
{
	unsigned long long cookie = 0;
	socklen_t size = sizeof cookie;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size))
		cookie = 0;
	close(fd);
	return cookie;
}

int linux_peer(int fd, unsigned int *uid, int *pid)
{
	struct ucred peer;
	socklen_t size = sizeof peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return -1;
	if (peer.uid == (uid_t)-1) {
		errno = ESRCH;
		return -1;
	}
	*uid = peer.uid;
	*pid = peer.pid;
	return 0;
}
