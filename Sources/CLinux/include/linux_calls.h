/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that glibc's Swift module leaves out. Each returns -1 with errno set, as the call itself does. */
#ifndef WEIR_LINUX_CALLS_H
#define WEIR_LINUX_CALLS_H

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

/* setns(2) on a network namespace for the calling thread only. */
int linux_enter_netns(int fd);
/* unshare(CLONE_NEWNET) for the calling thread only. */
int linux_new_netns(void);

#endif
