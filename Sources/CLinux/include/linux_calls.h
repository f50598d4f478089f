/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that glibc's Swift module leaves out. Each returns -1 with errno set, as the call itself does. */
#ifndef WEIR_LINUX_CALLS_H
#define WEIR_LINUX_CALLS_H

#include <linux/magic.h>
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

/* setns(2) on a network namespace for the calling thread only. */
int linux_enter_netns(int fd);
/* unshare(CLONE_NEWNET) for the calling thread only. */
int linux_new_netns(void);
/* Brings up `lo` in the calling thread's network namespace. */
int linux_loopback_up(void);

/* The cookie of the calling thread's network namespace, as BPF programs see it; 0 with errno set. socket(7),
 * SO_NETNS_COOKIE. */
unsigned long long linux_netns_cookie(void);

/* unix(7), SO_PEERCRED: who opened the connection, as the kernel noted it at connect(2). ESRCH where it noted none. */
int linux_peer(int fd, unsigned int *uid, int *pid);

/* statfs(2): the type of the file system that holds path, one of linux/magic.h. */
long long linux_filesystem(const char *path);

/* "EPERM" and "Operation not permitted"; never NULL. */
const char *linux_errno_name(int code);
const char *linux_errno_text(int code);

#endif
