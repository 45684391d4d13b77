/* SPDX-License-Identifier: MIT */
/* The derived SQLite index; see ledger_index.h. Any doubt about it ends in building it anew. */
#include "ledger/ledger_index.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "ledger/ledger_head.h"
#include "ledger/ledger_record.h"
#include "ledger/ledger_verify.h"
#include "ledger/sizing.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INDEX_VERSION "4"

#define KEYS "hour, uid, owner, function, verdict, memory, prices"
#define SUMS                                                                                      \
	"n, cold, billed_ms, duration_ns, contention_ns, unmeasured, gbs_hi, gbs_lo, charge_hi, " \
	"charge_lo, request_hi, request_lo, fair_hi, fair_lo, alone_ns, alone_hi, alone_lo"

static const char schema[] =
	"CREATE TABLE meta (head BLOB NOT NULL, lost INT NOT NULL, unsure INT NOT NULL);"
	"CREATE TABLE segments (number INTEGER PRIMARY KEY, size INT NOT NULL);"
	"CREATE TABLE raw (hour INT, number INT, started_ns INT, uid INT, owner TEXT,"
	" function TEXT, verdict TEXT, memory INT, prices TEXT, n INT, cold INT, billed_ms INT,"
	" duration_ns INT, contention_ns INT, unmeasured INT, gbs_hi INT, gbs_lo INT,"
	" charge_hi INT, charge_lo INT, request_hi INT, request_lo INT, fair_hi INT, fair_lo INT,"
	" alone_ns INT, alone_hi INT, alone_lo INT, PRIMARY KEY (hour, number)) WITHOUT ROWID;"
	"CREATE TABLE rollup (hour INT, uid INT, owner TEXT, function TEXT, verdict TEXT,"
	" memory INT, prices TEXT, n INT, cold INT, billed_ms INT, duration_ns INT,"
	" contention_ns INT, unmeasured INT, gbs_hi INT, gbs_lo INT, charge_hi INT, charge_lo INT,"
	" request_hi INT, request_lo INT, fair_hi INT, fair_lo INT, alone_ns INT, alone_hi INT,"
	" alone_lo INT, PRIMARY KEY (" KEYS ")) WITHOUT ROWID;"
	"PRAGMA user_version = " INDEX_VERSION ";";

static const char insert_raw[] =
	"INSERT INTO raw (hour, number, started_ns, uid, owner, function, verdict, memory, "
	"prices, " SUMS
	") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"
	" ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)";

#define ADD(x) #x " = " #x " + excluded." #x
static const char roll_up[] =
	"INSERT INTO rollup (" KEYS ", " SUMS ") SELECT " KEYS ", sum(n), sum(cold),"
	" sum(billed_ms), sum(duration_ns), sum(contention_ns), sum(unmeasured), sum(gbs_hi),"
	" sum(gbs_lo), sum(charge_hi), sum(charge_lo), sum(request_hi), sum(request_lo),"
	" sum(fair_hi), sum(fair_lo), sum(alone_ns), sum(alone_hi), sum(alone_lo) FROM raw WHERE "
	"hour >= ?1 AND number > ?2 GROUP BY " KEYS
	" ON CONFLICT DO UPDATE SET " ADD(n) ", " ADD(cold) ", " ADD(billed_ms) ", " ADD(duration_ns) ", " ADD(contention_ns) ", " ADD(unmeasured) ", " ADD(gbs_hi) ", " ADD(gbs_lo) ", " ADD(
		charge_hi) ", " ADD(charge_lo) ", " ADD(request_hi) ", " ADD(request_lo) ", " ADD(fair_hi) ", " ADD(fair_lo) ", " ADD(alone_ns) ", " ADD(alone_hi) ", " ADD(alone_lo);

static int sql_failed(sqlite3 *db, struct cloche_err *err)
{
	int code = sqlite3_errcode(db);
	int errnum = code == SQLITE_FULL ? ENOSPC : code == SQLITE_NOMEM ? ENOMEM : EIO;

	return cloche_err_set(err, errnum, "ledger index: %s", sqlite3_errmsg(db));
}

static int sql_exec(sqlite3 *db, const char *sql, struct cloche_err *err)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return sql_failed(db, err);
	return 0;
}

struct filler {
	sqlite3 *db;
	sqlite3_stmt *insert;
	sqlite3_stmt *segment;
	int64_t first_hour;
	struct cloche_err *err;
};

static void bind_money(sqlite3_stmt *s, int at, money_t amount)
{
	(void)sqlite3_bind_int64(s, at, (int64_t)(amount / 1000000000));
	(void)sqlite3_bind_int64(s, at + 1, (int64_t)(amount % 1000000000));
}

/* What it would have taken and cost with nobody beside it. Of what a fair charge takes off, that
 * share goes that the contention made it longer by. A record says nothing of quotas: memory buys
 * them. */
static void bind_alone(sqlite3_stmt *s, int at, const struct ledger_record *r)
{
	const struct sizing_run run = {
		.wall_ns = r->wall_ns == LEDGER_NULL ? 0 : r->wall_ns,
		.contention_ns = r->contention_ns,
		.on_cpu_ns = r->on_cpu_ns,
		.vcpu_micro = r->memory_limit_bytes > 0
				      ? sizing_vcpu_micro((uint64_t)r->memory_limit_bytes)
				      : 0,
	};
	int64_t less_ns = run.wall_ns - sizing_uncontended(&run);
	int64_t duration_ns = r->duration_ns == LEDGER_NULL ? 0 : r->duration_ns;
	money_t charge = r->charge, off = 0;

	if (less_ns > duration_ns)
		less_ns = duration_ns;
	if (less_ns > 0 && r->fair < charge &&
	    money_mul_div(charge - r->fair, (unsigned __int128)less_ns,
			  (unsigned __int128)r->contention_ns, MONEY_PICO, &off) == 0)
		charge -= off < charge ? off : charge;
	(void)sqlite3_bind_int64(s, at, duration_ns - less_ns);
	bind_money(s, at + 1, charge);
}

/* A seal ends its segment, which is so long from then on. */
static int segment_add(const struct ledger_entry *entry, struct filler *f)
{
	sqlite3_stmt *s = f->segment;

	(void)sqlite3_bind_int64(s, 1, (int64_t)entry->segment);
	(void)sqlite3_bind_int64(s, 2, (int64_t)(entry->offset + entry->frame->size));
	if (sqlite3_step(s) != SQLITE_DONE)
		return sql_failed(f->db, f->err);
	(void)sqlite3_reset(s);
	return 0;
}

static int row_add(const struct ledger_entry *entry, void *arg)
{
	/* 10⁹ of these in one sum still fit. */
	const money_t most = MONEY_USD * 1000000;
	const struct ledger_record *r = entry->record;
	struct filler *f = arg;
	sqlite3_stmt *s = f->insert;
	int64_t hour;

	if (entry->frame->type == FRAME_SEAL)
		return segment_add(entry, f);
	if (!r)
		return 0;
	if (r->charge > most || r->request > most || r->fair > most)
		return cloche_err_set(f->err, ERANGE,
				      "record %" PRIu64 " has an amount of more than a million "
				      "dollars",
				      entry->frame->number);
	hour = r->started_ns / (3600 * NSEC_PER_SEC);
	if (hour < f->first_hour)
		f->first_hour = hour;
	(void)sqlite3_bind_int64(s, 1, hour);
	(void)sqlite3_bind_int64(s, 2, (int64_t)entry->frame->number);
	(void)sqlite3_bind_int64(s, 3, r->started_ns);
	(void)sqlite3_bind_int64(s, 4, r->owner_uid);
	(void)sqlite3_bind_text(s, 5, r->owner_name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(s, 6, r->function, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(s, 7, r->verdict, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(s, 8, r->memory_limit_bytes);
	(void)sqlite3_bind_text(s, 9, r->prices, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(s, 10, r->cold);
	(void)sqlite3_bind_int64(s, 11, (int64_t)r->billed_ms);
	(void)sqlite3_bind_int64(s, 12, r->duration_ns == LEDGER_NULL ? 0 : r->duration_ns);
	(void)sqlite3_bind_int64(s, 13, r->contention_ns == LEDGER_NULL ? 0 : r->contention_ns);
	(void)sqlite3_bind_int64(s, 14, r->contention_ns == LEDGER_NULL);
	bind_money(s, 15, r->gbs_nano);
	bind_money(s, 17, r->charge);
	bind_money(s, 19, r->request);
	bind_money(s, 21, r->fair);
	bind_alone(s, 23, r);
	if (sqlite3_step(s) != SQLITE_DONE)
		return sql_failed(f->db, f->err);
	(void)sqlite3_reset(s);
	return 0;
}

/* Where an index has come to, and what the ledger says until there of records that are missing, or
 * may be. */
struct mark {
	struct ledger_head head;
	uint64_t lost, unsure;
};

/* False when the index has not begun. */
static bool mark_load(sqlite3 *db, struct mark *ret)
{
	sqlite3_stmt *s = NULL;
	bool ok = false;

	if (sqlite3_prepare_v2(db, "SELECT head, lost, unsure FROM meta", -1, &s, NULL) ==
		    SQLITE_OK &&
	    sqlite3_step(s) == SQLITE_ROW && sqlite3_column_bytes(s, 0) == (int)sizeof(ret->head)) {
		memcpy(&ret->head, sqlite3_column_blob(s, 0), sizeof(ret->head));
		ret->lost = (uint64_t)sqlite3_column_int64(s, 1);
		ret->unsure = (uint64_t)sqlite3_column_int64(s, 2);
		ok = true;
	}
	(void)sqlite3_finalize(s);
	return ok;
}

static int mark_save(sqlite3 *db, const struct mark *mark, struct cloche_err *err)
{
	sqlite3_stmt *s = NULL;
	int r = sql_exec(db, "DELETE FROM meta", err);

	if (r < 0)
		return r;
	if (sqlite3_prepare_v2(db, "INSERT INTO meta VALUES (?1, ?2, ?3)", -1, &s, NULL) !=
		    SQLITE_OK ||
	    sqlite3_bind_blob(s, 1, &mark->head, sizeof(mark->head), SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_int64(s, 2, (int64_t)mark->lost) != SQLITE_OK ||
	    sqlite3_bind_int64(s, 3, (int64_t)mark->unsure) != SQLITE_OK ||
	    sqlite3_step(s) != SQLITE_DONE)
		r = sql_failed(db, err);
	(void)sqlite3_finalize(s);
	return r;
}

static int rows_roll_up(sqlite3 *db, int64_t first_hour, uint64_t after, struct cloche_err *err)
{
	sqlite3_stmt *s = NULL;
	int r = 0;

	if (sqlite3_prepare_v2(db, roll_up, -1, &s, NULL) != SQLITE_OK ||
	    sqlite3_bind_int64(s, 1, first_hour) != SQLITE_OK ||
	    sqlite3_bind_int64(s, 2, (int64_t)after) != SQLITE_OK || sqlite3_step(s) != SQLITE_DONE)
		r = sql_failed(db, err);
	(void)sqlite3_finalize(s);
	return r;
}

/* One segment that was taken in: is it as long as it was, or at least, while it is open? */
static int segment_check(int dirfd, uint64_t number, uint64_t size, bool open,
			 struct ledger_finding *ret, struct cloche_err *err)
{
	char name[SEGMENT_NAME_LEN];
	const char *how = NULL;
	struct stat st;

	ledger_segment_name(number, name);
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return cloche_err_sys(err, errno, "look at segment %" PRIu64, number);
		how = "is missing";
	} else if ((uint64_t)st.st_size < size) {
		how = "is shorter than it was";
	} else if (!open && (uint64_t)st.st_size > size) {
		how = "is longer than when it was sealed";
	}
	if (!how)
		return 0;
	ret->broken = true;
	ret->segment = number;
	(void)snprintf(ret->text, sizeof(ret->text), "segment %" PRIu64 " %s", number, how);
	return 0;
}

/* All segments up to where the index has come; *ret is broken at the first that is not as it was.
 * What is in them is not read: that is what an audit is for. */
static int segments_check(sqlite3 *db, const char *dir, const struct ledger_head *head,
			  struct ledger_finding *ret, struct cloche_err *err)
{
	cleanup_fd int fd = ledger_dir_open(dir, err);
	sqlite3_stmt *s = NULL;
	int r = fd < 0 ? fd : 0, step = SQLITE_DONE;

	if (r < 0)
		return r;
	if (sqlite3_prepare_v2(db, "SELECT number, size FROM segments ORDER BY number", -1, &s,
			       NULL) != SQLITE_OK)
		r = sql_failed(db, err);
	while (r == 0 && !ret->broken && (step = sqlite3_step(s)) == SQLITE_ROW)
		r = segment_check(fd, (uint64_t)sqlite3_column_int64(s, 0),
				  (uint64_t)sqlite3_column_int64(s, 1), false, ret, err);
	if (r == 0 && !ret->broken && step != SQLITE_DONE)
		r = sql_failed(db, err);
	(void)sqlite3_finalize(s);
	if (r == 0 && !ret->broken && !head->sealed)
		r = segment_check(fd, head->segment, head->end, true, ret, err);
	return r;
}

static int walk_directory(void *arg, const struct ledger_walk *walk, struct ledger_finding *ret,
			  struct cloche_err *err)
{
	return ledger_verify(arg, walk, ret, err);
}

/* Takes in what the source has behind `from` (NULL: all); *ret is broken when the chain does not
 * go on there. */
static int fill(sqlite3 *db, const struct ledger_source *source, const struct mark *from,
		struct ledger_index *index, struct ledger_finding *ret, struct cloche_err *err)
{
	struct filler f = { .db = db, .first_hour = INT64_MAX, .err = err };
	struct ledger_walk walk = { .each = row_add, .arg = &f, .from = from ? &from->head : NULL };
	struct mark mark;
	int r;

	if (sqlite3_prepare_v2(db, insert_raw, -1, &f.insert, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, "INSERT INTO segments VALUES (?1, ?2)", -1, &f.segment, NULL) !=
		    SQLITE_OK)
		r = sql_failed(db, err);
	else
		r = source->walk(source->arg, &walk, ret, err);
	(void)sqlite3_finalize(f.insert);
	(void)sqlite3_finalize(f.segment);
	if (r < 0 || ret->broken)
		return r;
	mark.head = ret->end;
	mark.lost = ret->lost_frames + (from ? from->lost : 0);
	mark.unsure = ret->head_notes + (from ? from->unsure : 0);
	index->lost = mark.lost;
	index->unsure = mark.unsure || ledger_head_finding(ret->head);
	if (ret->records)
		r = rows_roll_up(db, f.first_hour, from ? from->head.number : 0, err);
	if (r == 0)
		r = mark_save(db, &mark, err);
	return r;
}

/* What an index knows that no longer agrees with the ledger. */
struct doubt {
	bool is;
	struct mark mark;
	char text[128];
};

static int build(sqlite3 *db, const char *dir, bool anew, struct doubt *doubt,
		 struct ledger_index *index, struct ledger_finding *ret, struct cloche_err *err)
{
	const struct ledger_source source = { walk_directory, (void *)(uintptr_t)dir };
	struct mark mark;
	int r;

	r = sql_exec(db, "BEGIN IMMEDIATE", err);
	if (r < 0)
		return r;
	if (!anew && mark_load(db, &mark)) {
		r = segments_check(db, dir, &mark.head, ret, err);
		if (r == 0 && !ret->broken)
			r = fill(db, &source, &mark, index, ret, err);
		if (r == 0 && ret->broken) {
			*doubt = (struct doubt){ .is = true, .mark = mark };
			(void)snprintf(doubt->text, sizeof(doubt->text), "%.120s", ret->text);
		}
	} else {
		r = sql_exec(db,
			     "DROP TABLE IF EXISTS meta; DROP TABLE IF EXISTS raw; "
			     "DROP TABLE IF EXISTS rollup; DROP TABLE IF EXISTS segments",
			     err);
		if (r == 0)
			r = sql_exec(db, schema, err);
		if (r == 0)
			r = fill(db, &source, NULL, index, ret, err);
	}
	if (r == 0 && !ret->broken)
		return sql_exec(db, "COMMIT", err);
	(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

/* Whether the tables are this version's; asked by using them. */
static bool is_usable(sqlite3 *db)
{
	sqlite3_stmt *s = NULL;
	bool ok = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK &&
		  sqlite3_step(s) == SQLITE_ROW &&
		  !strcmp((const char *)sqlite3_column_text(s, 0), INDEX_VERSION);

	(void)sqlite3_finalize(s);
	return ok;
}

static int db_open(const char *path, sqlite3 **ret)
{
	sqlite3 *db = NULL;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
	    SQLITE_OK) {
		(void)sqlite3_close(db);
		return -EIO;
	}
	(void)sqlite3_busy_timeout(db, 60000);
	/* Derived data: what a crash damages is built anew, so that nothing has to be synced. */
	(void)sqlite3_exec(db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY", NULL, NULL,
			   NULL);
	*ret = db;
	return 0;
}

static int broken(const char *dir, const struct ledger_finding *f, struct cloche_err *err)
{
	return cloche_err_set(err, EBADMSG,
			      "ledger '%.150s' is broken at record %" PRIu64 ": %.150s; "
			      "'cloche audit verify' shows more",
			      dir, f->number, f->text);
}

/* One attempt; *doubt is filled in when the index there and the ledger do not agree. */
static int attempt(const char *dir, const char *path, bool anew, struct doubt *doubt,
		   struct ledger_index *ret, struct cloche_err *err)
{
	struct ledger_finding finding = { 0 };
	sqlite3 *db;
	int r;

	if (db_open(path, &db) < 0)
		return cloche_err_set(err, EIO, "open ledger index '%.200s'", path);
	anew = anew || !is_usable(db);
	r = build(db, dir, anew, doubt, ret, &finding, err);
	if (r == 0 && finding.broken)
		r = broken(dir, &finding, err);
	if (r < 0) {
		(void)sqlite3_close(db);
		return r;
	}
	ret->db = db;
	ret->rebuilt = anew;
	return 0;
}

/*
 * The index has come further than the ledger goes, or elsewhere. 0: it may be thrown away, since it
 * is another ledger's, or the ledger says itself that records are missing. Else the ledger was cut
 * or put back, and an index that is made anew would hide that.
 */
static int doubt_examine(const char *dir, const struct doubt *doubt, struct cloche_err *err)
{
	const struct ledger_head *was = &doubt->mark.head;
	struct ledger_finding f;
	int r = ledger_verify(dir, &(struct ledger_walk){ 0 }, &f, err);

	if (r < 0)
		return r;
	if (f.broken)
		return broken(dir, &f, err);
	if (memcmp(f.end.ledger_id, was->ledger_id, sizeof(was->ledger_id)) != 0 ||
	    f.lost_frames > doubt->mark.lost || f.head_notes > doubt->mark.unsure)
		return 0;
	return cloche_err_set(err, ESTALE,
			      "ledger '%.150s' lacks records that its index has taken in, up to "
			      "record %" PRIu64 ": %.120s; if it was put back on purpose, 'cloche "
			      "audit index' goes by what is there",
			      dir, was->number, doubt->text);
}

/* A directory that is no ledger must not get an index, nor lose a file of that name. */
static int expect_ledger(const char *dir, struct cloche_err *err)
{
	cleanup_fd int fd = -1;
	uint64_t first, last;
	int r;

	fd = ledger_dir_open(dir, err);
	if (fd < 0)
		return fd;
	r = ledger_segment_range(fd, &first, &last);
	if (r < 0)
		return cloche_err_sys(err, -r, "read ledger '%.200s'", dir);
	if (!last)
		return cloche_err_set(err, ENOENT, "'%.200s' is not a ledger: it has no segments",
				      dir);
	return 0;
}

int ledger_index_open(const char *dir, bool rebuild, struct ledger_index *ret,
		      struct cloche_err *err)
{
	struct doubt doubt = { 0 };
	char path[PATH_MAX];
	struct stat st;
	int r;

	memset(ret, 0, sizeof(*ret));
	if (snprintf(path, sizeof(path), "%s/" LEDGER_INDEX_NAME, dir) >= (int)sizeof(path))
		return cloche_err_sys(err, ENAMETOOLONG, "ledger index of '%.200s'", dir);
	r = expect_ledger(dir, err);
	if (r < 0)
		return r;
	r = -EIO;
	/* SQLite would follow a link; only the ledger's owner keeps an index in it. */
	if (stat(dir, &st) == 0 && st.st_uid == geteuid() && access(dir, W_OK) == 0) {
		if (!rebuild)
			r = attempt(dir, path, false, &doubt, ret, err);
		if (doubt.is && doubt_examine(dir, &doubt, err) < 0)
			return -err->code;
		if (r < 0 && r != -ENOENT) {
			(void)unlink(path);
			r = attempt(dir, path, true, &doubt, ret, err);
		}
		if (r == 0 || r == -EBADMSG || r == -ENOENT)
			return r;
	}
	ret->in_memory = true;
	return attempt(dir, ":memory:", true, &doubt, ret, err);
}

int ledger_index_gather(const struct ledger_source *source, struct ledger_index *ret,
			struct cloche_err *err)
{
	struct ledger_finding finding = { 0 };
	sqlite3 *db;
	int r;

	memset(ret, 0, sizeof(*ret));
	if (db_open(":memory:", &db) < 0)
		return cloche_err_set(err, EIO, "make a ledger index in memory");
	r = sql_exec(db, "BEGIN", err);
	if (r == 0)
		r = sql_exec(db, schema, err);
	if (r == 0)
		r = fill(db, source, NULL, ret, &finding, err);
	if (r == 0 && finding.broken)
		r = cloche_err_set(err, EBADMSG, "%s", finding.text);
	if (r == 0)
		r = sql_exec(db, "COMMIT", err);
	if (r < 0) {
		(void)sqlite3_close(db);
		return r;
	}
	ret->db = db;
	ret->in_memory = true;
	return 0;
}

void ledger_index_close(struct ledger_index *index)
{
	(void)sqlite3_close(index->db);
	index->db = NULL;
}
