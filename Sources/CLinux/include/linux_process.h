/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LINUX_PROCESS_H
#define WEIR_LINUX_PROCESS_H

/* The environment, for a child; Swift does not let its variable be read. */
char *const *linux_environment(void);

/* prctl(2), PR_SET_NO_NEW_PRIVS: no program that the calling thread becomes has more privileges than it has. */
int linux_no_new_privileges(void);

#endif
