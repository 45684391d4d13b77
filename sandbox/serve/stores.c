/* SPDX-License-Identifier: MIT */
/* Where the daemon's images are: see stores.h. */
#include "serve/stores.h"

#include "base/err.h"
#include "base/fd.h"
#include "image/image.h"
#include "serve/config.h"

#include <errno.h>
#include <stdio.h>

/* ---- the stores ------------------------------------------------------------------------------ */

#define PATH_LEN (sizeof(((struct config *)0)->state) + 64)

static void path_of(const struct config *config, uint32_t owner, char ret[static PATH_LEN])
{
	(void)snprintf(ret, PATH_LEN, "%s/" STORES_OWNERS "/%u/images", config->state, owner);
}

int stores_open(const struct config *config, uint32_t owner, bool own, struct cloche_err *err)
{
	char path[PATH_LEN];

	if (!own)
		return image_store_open(false, err);
	path_of(config, owner, path);
	return image_store_open_at(path, false, err);
}

/* ---- who may read them ----------------------------------------------------------------------- */

int stores_show(const struct config *config, uint32_t owner, int ret[static STORES],
		struct cloche_err *err)
{
	int r = 0;

	ret[STORES_SHARED] = ret[STORES_OWN] = -1;
	for (int i = 0; r == 0 && i < STORES; i++) {
		struct cloche_err why = { 0 };
		cleanup_fd int store = stores_open(config, owner, i == STORES_OWN, &why);

		if (store == -ENOENT)
			continue;
		ret[i] = store < 0 ? store : image_store_show(store, &why);
		r = ret[i] < 0 ? ret[i] : 0;
		if (r < 0)
			*err = why;
	}
	for (int i = 0; r < 0 && i < STORES; i++)
		fd_close(&ret[i]);
	return r;
}
