/* SPDX-License-Identifier: MIT */
/* Lists of texts on their way from one process to another: see texts.h. */
#include "base/texts.h"

#include "base/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int texts_pack(char *const *texts, size_t n, char *buf, size_t size, size_t *ret_len,
	       struct cloche_err *err)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(texts[i]) + 1;

		if (len > size - used)
			return cloche_err_set(err, E2BIG, "more than %zu bytes of texts", size);
		memcpy(buf + used, texts[i], len);
		used += len;
	}
	*ret_len = used;
	return 0;
}

int texts_take(char *buf, size_t len, size_t max, char ***ret, size_t *ret_n,
	       struct cloche_err *err)
{
	size_t n = 0;
	char **list;

	for (size_t i = 0; i < len; i++)
		n += buf[i] == '\0';
	if (n > max || (len && buf[len - 1] != '\0'))
		return cloche_err_set(err, EBADMSG, "what was read of it is no list of texts");
	list = calloc(n + 1, sizeof(*list));
	if (!list)
		return cloche_err_sys(err, ENOMEM, "read texts");
	for (size_t i = 0; i < n; i++) {
		list[i] = buf;
		buf += strlen(buf) + 1;
	}
	*ret = list;
	*ret_n = n;
	return 0;
}
