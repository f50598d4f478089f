/* SPDX-License-Identifier: Apache-2.0 */
/* libmicrohttpd, and what Swift cannot call of it: variadic functions and unions. */
#ifndef WEIR_MICROHTTPD_SHIM_H
#define WEIR_MICROHTTPD_SHIM_H

#include <microhttpd.h>

/* A server on a listening socket (which it then owns), to be driven by the caller's epoll: no threads. NULL with errno. */
static inline struct MHD_Daemon *weir_http_start(
	int listener, unsigned int connections, size_t memory, unsigned int timeout_seconds,
	MHD_AccessHandlerCallback handler, MHD_RequestCompletedCallback completed, void *context)
{
	return MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handler, context,
		MHD_OPTION_LISTEN_SOCKET, listener,
		MHD_OPTION_CONNECTION_LIMIT, connections,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory,
		MHD_OPTION_CONNECTION_TIMEOUT, timeout_seconds,
		MHD_OPTION_NOTIFY_COMPLETED, completed, context,
		MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
		MHD_OPTION_END);
}

/* The descriptor that is readable when MHD_run has something to do; -1 if there is none. */
static inline int weir_http_descriptor(struct MHD_Daemon *daemon)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);

	return info ? info->epoll_fd : -1;
}

/* The client's socket; -1 if there is none. */
static inline int weir_http_client(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

#endif
