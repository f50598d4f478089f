/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LINUX_PROCESS_H
#define WEIR_LINUX_PROCESS_H

/* The environment, for a child; Swift does not let its variable be read. */
char *const *linux_environment(void);

/* prctl(2), PR_SET_NO_NEW_PRIVS: no program that the calling thread becomes has more privileges than it has. */
int linux_no_new_privileges(void);
/* What a child does to itself. Each returns -1 with errno set, as the call itself does. */
/* prctl(2), PR_SET_PDEATHSIG: SIGKILL when the thread that started this process ends. */
int linux_die_with_parent(void);
/* unshare(2) into a new network namespace; without CAP_SYS_ADMIN, together with a user namespace that owns it. */
int linux_own_netns(void);

#endif
