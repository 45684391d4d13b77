/* SPDX-License-Identifier: MIT */
/*
 * The daemon: clients, front, launcher and wardens, each of whom may die at any moment, and the
 * front may hang. For every order of events:
 *
 *	- a client has one answer, or hears once that there is none
 *	- an invocation that was begun has one record, one that was not has none
 *	- a context serves one invocation at a time, and those of one owner only
 *	- a place has one context at a time
 *	- the front never says what the table of serve/command.c does not allow, and nobody says to a
 *	  warden what that of launch/warden.c does not
 *	- nothing waits for ever: where nothing can happen any more, all is over
 *
 * Left out: to be told to stop, and what is about images only.
 *
 * tables.pml is made from the code (tables.c). A step of a process is what one system call, or one
 * write to shared memory, makes visible to the others; a kill may come between any two.
 */
#include "tables.pml"

#ifndef FRONT_DEATHS
#define FRONT_DEATHS 2
#endif
#ifndef WARDEN_DEATHS
#define WARDEN_DEATHS 1
#endif
#ifndef CLIENT_DEATHS
#define CLIENT_DEATHS 1
#endif
/* What is about no context: how often each may come. */
#ifndef PRESSES
#define PRESSES 0
#endif
#ifndef CONFIGS
#define CONFIGS 0
#endif
#ifndef TALLIES
#define TALLIES 0
#endif
/* So many invocations may be traced. */
#ifndef TRACES
#define TRACES 0
#endif
/* So often a client who is answered asks again on its connection, whose the context is meanwhile. */
#ifndef HOLDS
#define HOLDS 0
#endif
/* Wardens have the launcher count what they have frozen (launch/notice.h); but not of what forks. */
#ifndef NOTICES
#define NOTICES true
#endif
#define CLIENTS 2
#ifndef PLACES
#define PLACES 2
#endif
#define NUMBERS (7 + 5 * HOLDS) /* that one front can give */
#define NOBODY	255

mtype:reply = { REPLY_MADE, REPLY_REFUSED, REPLY_COUNTED, REPLY_PARTED, REPLY_KEPT, REPLY_GONE, REPLY_ALONE,
		REPLY_PING, REPLY_PRESSED, REPLY_CONFIG, REPLY_TALLY,
		REPLY_LEFT, REPLY_TRACED, REPLY_CONCLUDED };

/* ---- what each has --------------------------------------------------------------------------- */

/* Clients. BACKLOG: connected, and nobody has accepted it. HOLDS_ON: answered, and may ask again;
 * AGAIN: it has. */
mtype:client = { BACKLOG, SERVED, ANSWERED, REFUSED, HUNG_UP, DEAD, HOLDS_ON, AGAIN };
mtype:client client[CLIENTS];
byte answers[CLIENTS];
#ifdef ONE_OWNER
#define OWNER(c) 1
#else
#define OWNER(c) ((c) + 1)
#endif

/* The ledger and the wills: on the disk, whoever dies. */
byte records[CLIENTS];
bool will[CLIENTS], begun[CLIENTS];

/* The launcher. */
typedef place_t {
	byte state;
	byte number;
	byte owner;
	bool silent;
};
place_t place[PLACES];
bool ready, alone, asked, front_there; /* front_there: it has not been dropped yet */

/* The wardens, one in each place. */
byte warden[PLACES]; /* its state, WARDEN_NONE or WARDEN_GONE */
byte runs_for[PLACES];
bool parted[PLACES]; /* its process stays, and a part of it was counted */
/* When it was frozen the launcher was told, of which the front has not heard; has not read it yet. */
bool noticed[PLACES], unread[PLACES];

/* The front's memory, lost with it. */
mtype:visit = { V_NONE, V_SEEKS, V_WAITS, V_MAKES, V_HAS, V_ASKS, V_TRACED, V_WILLED, V_RUNS,
		V_PAUSES, V_COUNTS, V_COUNTED, V_BOOKED, V_STRUCK, V_CONCLUDES, V_CONCLUDED,
		V_HEARS, V_RESUMES };
mtype:visit visit[CLIENTS];
byte has[CLIENTS]; /* number of its context */
bool killed[CLIENTS], traced[CLIENTS], own[CLIENTS]; /* own: nobody had it before */
#define POOL_NONE 255
byte held[NUMBERS]; /* as pool/pool.h has it */
byte held_place[NUMBERS], held_owner[NUMBERS], held_user[NUMBERS];
bool held_kept[NUMBERS]; /* with its process, frozen */
byte numbers;
bool left[CLIENTS], told_alone, said_ready, alive, hangs;
bool tally_owed; /* somebody asks what there is */

/* For the length of one step. */
hidden byte f_i, r_i, m_i, i_i, l_i, user, at, state;
hidden byte room;

chan commands = [6] of { byte, byte, byte };	     /* kind, number, owner */
/* Those of the contexts, and these. */
#define REPLIES_ROOM (8 + PLACES + PRESSES + CONFIGS + TALLIES + TRACES)
chan replies = [REPLIES_ROOM] of { mtype:reply, byte, byte }; /* kind, number, place */

byte front_deaths, warden_deaths, client_deaths, presses, configs, tallies, traces, holds;

/* ---- the front ------------------------------------------------------------------------------- */

#define UP (alive && !hangs)

/* Told by the launcher or by who drives, the front. */
inline tell_warden(w_place, w_type, w_driver)
{
	assert(TELLS(w_type, warden[w_place], w_driver))
}

inline tell(t_kind, t_number, t_owner)
{
	assert(nfull(commands));
	commands!t_kind, t_number, t_owner
}

inline forget_all()
{
	for (f_i : 0 .. CLIENTS - 1) {
		/* The kernel closes its sockets. */
		if
		:: client[f_i] == SERVED || client[f_i] == AGAIN -> client[f_i] = HUNG_UP
		:: client[f_i] == HOLDS_ON -> client[f_i] = ANSWERED
		:: else
		fi;
		own[f_i] = false;
		visit[f_i] = V_NONE;
		killed[f_i] = false;
		traced[f_i] = false;
		has[f_i] = 0
	}
	for (f_i : 0 .. NUMBERS - 1) {
		held[f_i] = POOL_NONE;
		held_place[f_i] = 0;
		held_owner[f_i] = 0;
		held_kept[f_i] = false;
		held_user[f_i] = NOBODY
	}
	numbers = 0;
	told_alone = false;
	tally_owed = false;
	said_ready = false
}

/* All who wait look again. */
inline retry()
{
	for (r_i : 0 .. CLIENTS - 1) {
		if
		:: visit[r_i] == V_WAITS -> visit[r_i] = V_SEEKS
		:: else
		fi
	}
}

/* held_make_room: what is idle gives way; room may come of what is still seen to. */
inline make_room(has_room)
{
	has_room = false;
	for (m_i : 0 .. NUMBERS - 1) {
		if
		:: held[m_i] == POOL_ENDING || held[m_i] == POOL_VERIFYING -> has_room = true
		:: else
		fi
	}
	for (m_i : 0 .. NUMBERS - 1) {
		if
		:: !has_room && held[m_i] == POOL_IDLE ->
			held[m_i] = POOL_ENDING;
			has_room = true;
			tell(COMMAND_END, m_i, 0)
		:: else
		fi
	}
}

/* One that is idle, of the same owner; 0: there is none. */
inline find_idle(i_client, idle_one)
{
	idle_one = 0;
	for (i_i : 1 .. NUMBERS - 1) {
		if
		:: idle_one == 0 && !own[i_client] && held[i_i] == POOL_IDLE && held_owner[i_i] == OWNER(i_client) -> idle_one = i_i
		:: else
		fi
	}
}

/* held_press: of what is idle, half. */
inline give_up_one()
{
	room = false;
	for (m_i : 1 .. NUMBERS - 1) {
		if
		:: !room && held[m_i] == POOL_IDLE ->
			held[m_i] = POOL_ENDING;
			room = true;
			tell(COMMAND_END, m_i, 0)
		:: else
		fi
	}
}

/* Its warden is gone, or has said that what was kept has ended. */
#define IS_LOST(n)                                \
	(warden[held_place[n]] == WARDEN_GONE ||  \
	 (held_kept[n] && warden[held_place[n]] == USED))

#include "holding.pml"

inline hear_reply(y_kind, y_number, y_place)
{
	user = held_user[y_number];
	if
	:: y_kind == REPLY_ALONE -> told_alone = true
	/* The figures of what another front has left, which it needs for the records. */
	:: y_kind == REPLY_LEFT -> assert(!told_alone)
	:: y_kind == REPLY_PING -> tell(COMMAND_PONG, 0, 0)
	:: y_kind == REPLY_CONFIG -> retry()
	:: y_kind == REPLY_TALLY -> assert(tally_owed); tally_owed = false
	:: y_kind == REPLY_PRESSED -> give_up_one()
	:: y_kind == REPLY_MADE ->
		held_place[y_number] = y_place;
		if
		:: user == NOBODY -> held[y_number] = POOL_IDLE; retry()
		:: else -> held[y_number] = POOL_BUSY; has[user] = y_number; visit[user] = V_HAS
		fi
	:: y_kind == REPLY_REFUSED ->
		held[y_number] = POOL_NONE;
		held_user[y_number] = NOBODY;
		make_room(room);
		if
		:: user == NOBODY
		:: user != NOBODY && room -> visit[user] = V_WAITS
		:: user != NOBODY && !room ->
			visit[user] = V_NONE;
			if
			:: client[user] == SERVED -> client[user] = REFUSED; answers[user]++
			:: else
			fi
		fi
	:: y_kind == REPLY_COUNTED || y_kind == REPLY_PARTED ->
		held_kept[y_number] = (y_kind == REPLY_PARTED);
		if
		:: user != NOBODY && (visit[user] == V_COUNTS || visit[user] == V_PAUSES) ->
			visit[user] = V_COUNTED; noticed[held_place[y_number]] = false
		:: else
		fi
	:: y_kind == REPLY_TRACED ->
		if
		:: user != NOBODY && visit[user] == V_ASKS -> visit[user] = V_TRACED
		:: else
		fi
	:: y_kind == REPLY_CONCLUDED ->
		if
		:: user != NOBODY && visit[user] == V_CONCLUDES -> visit[user] = V_CONCLUDED
		:: else -> assert(held_kept[y_number] || held[y_number] == POOL_ENDING)
		fi
	:: y_kind == REPLY_KEPT ->
		if
		:: held[y_number] == POOL_VERIFYING -> held[y_number] = POOL_IDLE; retry()
		:: held[y_number] == POOL_RESERVED ->
			held[y_number] = POOL_BUSY;
			assert(has[user] == y_number);
			if
			:: visit[user] == V_RESUMES -> resume(user)
			:: else -> assert(visit[user] == V_HEARS)
			fi;
			retry()
		:: else
		fi
	:: y_kind == REPLY_GONE ->
		if
		:: user != NOBODY && visit[user] == V_RESUMES -> has[user] = 0; visit[user] = V_SEEKS
		:: user != NOBODY && visit[user] == V_HEARS -> has[user] = 0
		:: else
		fi;
		held[y_number] = POOL_NONE;
		held_kept[y_number] = false;
		held_user[y_number] = NOBODY;
		retry()
	fi
}

#define CAN_PAUSE(c) (warden[held_place[has[c]]] == RUNNING || warden[held_place[has[c]]] == USED)

/* There are processes, frozen or not. */
#define RUNS(w) ((w) == RUNNING || (w) == PAUSING || (w) == FROZEN)

proctype front()
{
	mtype:reply kind;
	byte n, p, found, c;

	do
	:: atomic { UP && !said_ready -> said_ready = true; tell(COMMAND_READY, 0, 0) }
	:: atomic { UP && nempty(replies) -> replies?kind, n, p; hear_reply(kind, n, p) }

	/* What another front has left. */
	:: atomic {
		UP && told_alone && (left[0] || left[1]) ->
		c = (left[0] -> 0 : 1);
		if
		:: records[c] == 0 -> records[c]++ /* seen in the ledger, or written */
		:: else -> will[c] = false; left[c] = false
		fi
	   }

	/* A client. */
	:: atomic {
		UP && said_ready && (client[0] == BACKLOG || client[1] == BACKLOG) ->
		if
		:: client[0] == BACKLOG -> c = 0
		:: client[1] == BACKLOG -> c = 1
		fi;
		client[c] = SERVED;
		visit[c] = V_SEEKS
	   }
	:: atomic {
		UP && (visit[0] == V_SEEKS || visit[1] == V_SEEKS) ->
		if
		:: visit[0] == V_SEEKS -> c = 0
		:: visit[1] == V_SEEKS -> c = 1
		fi;
		find_idle(c, found);
		if
		:: found && IS_LOST(found) ->
			held[found] = POOL_ENDING;
			tell(COMMAND_END, found, 0)
		:: found && !IS_LOST(found) ->
			held[found] = POOL_BUSY;
			held_user[found] = c;
			has[c] = found;
			visit[c] = V_HAS
		:: !found ->
			/* A number that was never given before. */
			numbers++;
			assert(numbers < NUMBERS);
			if
			:: true ->
				held[numbers] = POOL_MAKING;
				held_owner[numbers] = OWNER(c);
				held_user[numbers] = c;
				has[c] = numbers;
				visit[c] = V_MAKES;
				tell(COMMAND_MAKE, numbers, OWNER(c))
			fi
		fi;
		found = 0
	   }
	:: atomic {
		UP && (visit[0] == V_HAS || visit[1] == V_HAS) && traces < TRACES -> traces++;
		c = (visit[0] == V_HAS -> 0 : 1);
		traced[c] = true;
		visit[c] = V_ASKS;
		tell(COMMAND_TRACE, has[c], 0)
	   }
	/* Nobody waits for it any more, and nothing was begun; yet somebody is to trace it. */
	:: atomic {
		UP && ((visit[0] == V_ASKS && client[0] == DEAD) ||
		       (visit[1] == V_ASKS && client[1] == DEAD)) ->
		c = ((visit[0] == V_ASKS && client[0] == DEAD) -> 0 : 1);
		held_user[has[c]] = NOBODY;
		held[has[c]] = POOL_ENDING;
		tell(COMMAND_END, has[c], 0);
		visit[c] = V_NONE;
		traced[c] = false;
		has[c] = 0
	   }
	:: atomic {
		UP && (visit[0] == V_HAS || visit[0] == V_TRACED) ->
		will[0] = true; begun[0] = true; visit[0] = V_WILLED
	   }
	:: atomic {
		UP && (visit[1] == V_HAS || visit[1] == V_TRACED) ->
		will[1] = true; begun[1] = true; visit[1] = V_WILLED
	   }
	:: atomic {
		UP && (visit[0] == V_WILLED || visit[1] == V_WILLED) ->
		if
		:: visit[0] == V_WILLED -> c = 0
		:: visit[1] == V_WILLED -> c = 1
		fi;
		p = held_place[has[c]];
		if
		/* It may have ended since it was looked at, which is its end. */
		:: held_kept[has[c]] && warden[p] != WARDEN_GONE ->
			assert(place[p].owner == OWNER(c));
			assert(runs_for[p] == NOBODY);
			tell_warden(p, WARDEN_RESUME, true);
			if
			:: warden[p] == FROZEN -> warden[p] = RUNNING
			:: else -> assert(warden[p] == USED)
			fi;
			runs_for[p] = c
		:: !held_kept[has[c]] && warden[p] == RENEWED ->
			assert(place[p].owner == OWNER(c));
			assert(runs_for[p] == NOBODY);
			/* Binds come before: those that it has, or it ends, whatever is said next. */
			tell_warden(p, WARDEN_BINDS, true);
			if
			:: tell_warden(p, WARDEN_GO, true); warden[p] = RUNNING; runs_for[p] = c
			:: warden_deaths < WARDEN_DEATHS -> warden_deaths++; warden[p] = WARDEN_GONE
			fi
		:: else -> assert(warden[p] == WARDEN_GONE)
		fi;
		visit[c] = V_RUNS
	   }
	/* Nobody takes the answer. */
	:: atomic {
		UP && ((visit[0] == V_RUNS && client[0] == DEAD && !killed[0]) ||
		       (visit[1] == V_RUNS && client[1] == DEAD && !killed[1])) ->
		c = ((visit[0] == V_RUNS && client[0] == DEAD && !killed[0]) -> 0 : 1);
		killed[c] = true;
		tell(COMMAND_KILL, has[c], 0)
	   }
	/* It has answered, and its process stays for the next one. */
	:: atomic {
		UP && ((visit[0] == V_RUNS && CAN_PAUSE(0)) || (visit[1] == V_RUNS && CAN_PAUSE(1))) ->
		c = ((visit[0] == V_RUNS && CAN_PAUSE(0)) -> 0 : 1);
		p = held_place[has[c]];
		tell_warden(p, WARDEN_PAUSE, true);
		if
		:: warden[p] == RUNNING -> warden[p] = PAUSING
		:: else
		fi;
		visit[c] = V_PAUSES
	   }
	:: atomic {
		UP && ((visit[0] == V_PAUSES && warden[held_place[has[0]]] != PAUSING) ||
		       (visit[1] == V_PAUSES && warden[held_place[has[1]]] != PAUSING)) ->
		c = ((visit[0] == V_PAUSES && warden[held_place[has[0]]] != PAUSING) -> 0 : 1);
		p = held_place[has[c]];
		visit[c] = V_COUNTS;
		if
		:: noticed[p] && warden[p] != WARDEN_GONE /* FROZEN, or its end says so */
		:: NOTICES && warden[p] == WARDEN_GONE -> tell(COMMAND_RECOUNT, has[c], 0)
		:: else -> tell(COMMAND_COUNT, has[c], 0)
		fi;
		noticed[p] = false
	   }
	/* Its end comes from the warden, or is that of the warden. */
	:: atomic {
		UP && ((visit[0] == V_RUNS && warden[held_place[has[0]]] != RUNNING) ||
		       (visit[1] == V_RUNS && warden[held_place[has[1]]] != RUNNING)) ->
		c = ((visit[0] == V_RUNS && warden[held_place[has[0]]] != RUNNING) -> 0 : 1);
		visit[c] = V_COUNTS;
		tell(COMMAND_COUNT, has[c], 0)
	   }
	:: atomic {
		UP && (visit[0] == V_COUNTED || visit[1] == V_COUNTED) ->
		c = (visit[0] == V_COUNTED -> 0 : 1);
		records[c]++;
		assert(records[c] == 1);
		visit[c] = V_BOOKED
	   }
	:: atomic {
		UP && (visit[0] == V_BOOKED || visit[1] == V_BOOKED) ->
		c = (visit[0] == V_BOOKED -> 0 : 1);
		will[c] = false;
		visit[c] = V_STRUCK
	   }
	:: atomic {
		UP && ((visit[0] == V_STRUCK && traced[0]) || (visit[1] == V_STRUCK && traced[1])) ->
		c = ((visit[0] == V_STRUCK && traced[0]) -> 0 : 1);
		traced[c] = false;
		visit[c] = V_CONCLUDES;
		tell(COMMAND_CONCLUDE, has[c], 0)
	   }
	/* What was kept has ended meanwhile, and with it its trace. */
	:: atomic {
		UP && ((visit[0] == V_CONCLUDES && held_kept[has[0]] && IS_LOST(has[0])) ||
		       (visit[1] == V_CONCLUDES && held_kept[has[1]] && IS_LOST(has[1]))) ->
		c = ((visit[0] == V_CONCLUDES && held_kept[has[0]] && IS_LOST(has[0])) -> 0 : 1);
		assert(records[c] == 1);
		if
		:: client[c] == SERVED -> client[c] = ANSWERED; answers[c]++
		:: else
		fi;
		held_user[has[c]] = NOBODY;
		visit[c] = V_NONE;
		killed[c] = false;
		held[has[c]] = POOL_ENDING;
		tell(COMMAND_END, has[c], 0);
		has[c] = 0
	   }
	/* The same before it had its event: another one will do. */
	:: atomic {
		UP && ((visit[0] == V_ASKS && held_kept[has[0]] && IS_LOST(has[0])) ||
		       (visit[1] == V_ASKS && held_kept[has[1]] && IS_LOST(has[1]))) ->
		c = ((visit[0] == V_ASKS && held_kept[has[0]] && IS_LOST(has[0])) -> 0 : 1);
		traced[c] = false;
		held_user[has[c]] = NOBODY;
		held[has[c]] = POOL_ENDING;
		tell(COMMAND_END, has[c], 0);
		visit[c] = V_SEEKS;
		has[c] = 0
	   }
	:: atomic {
		UP && ((visit[0] == V_STRUCK && !traced[0]) || visit[0] == V_CONCLUDED ||
		       (visit[1] == V_STRUCK && !traced[1]) || visit[1] == V_CONCLUDED) ->
		c = ((visit[0] == V_STRUCK && !traced[0]) || visit[0] == V_CONCLUDED -> 0 : 1);
		assert(records[c] == 1 && held_user[has[c]] == c);
		if
		:: c == 0 && client[c] == SERVED && holds < HOLDS && !held_kept[has[c]] -> holds++;
			client[c] = HOLDS_ON;
			answers[c]++;
			own[c] = true;
			visit[c] = V_HEARS;
			held[has[c]] = POOL_RESERVED;
			tell(COMMAND_KEEP, has[c], 0)
		:: true ->
			if
			:: client[c] == SERVED -> client[c] = ANSWERED; answers[c]++
			:: else
			fi;
			held_user[has[c]] = NOBODY;
			visit[c] = V_NONE;
			killed[c] = false;
			if
			:: !held_kept[has[c]] -> held[has[c]] = POOL_VERIFYING; tell(COMMAND_KEEP, has[c], 0)
			:: held_kept[has[c]] -> held[has[c]] = POOL_IDLE; retry()
			:: held[has[c]] = POOL_ENDING; tell(COMMAND_END, has[c], 0)
			fi;
			has[c] = 0
		fi
	   }
	/* It is silent for too long, or gone; what it asks in the same moment it asks anew. */
	:: atomic {
		UP && (visit[0] == V_HEARS || visit[1] == V_HEARS) ->
		if
		:: visit[0] == V_HEARS -> c = 0
		:: visit[1] == V_HEARS -> c = 1
		fi;
		spare(c);
		visit[c] = V_NONE;
		own[c] = false;
		if
		:: client[c] == AGAIN -> client[c] = BACKLOG
		:: client[c] == HOLDS_ON -> client[c] = ANSWERED
		:: else
		fi
	   }
	:: atomic {
		UP && ((visit[0] == V_HEARS && client[0] == AGAIN) ||
		       (visit[1] == V_HEARS && client[1] == AGAIN)) ->
		c = ((visit[0] == V_HEARS && client[0] == AGAIN) -> 0 : 1);
		client[c] = SERVED;
		if
		:: has[c] == 0 -> visit[c] = V_SEEKS
		:: has[c] != 0 -> spare(c); visit[c] = V_SEEKS /* of another kind */
		:: has[c] != 0 && held[has[c]] == POOL_BUSY -> resume(c)
		:: has[c] != 0 && held[has[c]] == POOL_RESERVED -> visit[c] = V_RESUMES
		fi
	   }
	:: atomic {
		UP && said_ready && !tally_owed && tallies < TALLIES -> tallies++;
		tally_owed = true;
		tell(COMMAND_TALLY, 0, 0)
	   }
	/* An idle one has expired. */
	:: atomic {
		UP && (held[1] == POOL_IDLE || held[2] == POOL_IDLE || held[3] == POOL_IDLE) ->
		n = (held[1] == POOL_IDLE -> 1 : (held[2] == POOL_IDLE -> 2 : 3));
		held[n] = POOL_ENDING;
		tell(COMMAND_END, n, 0)
	   }
	od
}

#include "launcher.pml"

/* ---- what happens to them -------------------------------------------------------------------- */

/* A function's process comes to its end, by itself or at its deadline, which the warden keeps. */
proctype functions()
{
	do
	:: atomic { warden[0] == RUNNING -> warden[0] = USED }
	:: atomic { warden[PLACES - 1] == RUNNING -> warden[PLACES - 1] = USED }
	/* It is frozen, or was not in time. */
	:: atomic {
		warden[0] == PAUSING ->
		if
		:: warden[0] = FROZEN; noticed[0] = NOTICES; unread[0] = NOTICES
		:: warden[0] = USED
		fi
	   }
	:: atomic {
		warden[PLACES - 1] == PAUSING ->
		if
		:: warden[PLACES - 1] = FROZEN;
			noticed[PLACES - 1] = NOTICES; unread[PLACES - 1] = NOTICES
		:: warden[PLACES - 1] = USED
		fi
	   }
	od
}

proctype deaths()
{
	do
	:: atomic { front_deaths < FRONT_DEATHS && alive && front_there -> front_deaths++; alive = false }
	:: atomic {
		front_deaths < FRONT_DEATHS && alive && front_there && !hangs -> front_deaths++;
		hangs = true
	   }
	:: atomic {
		warden_deaths < WARDEN_DEATHS && (warden[0] == RENEWED || warden[0] == RUNNING ||
						  warden[0] == USED || warden[0] == PAUSING ||
						  warden[0] == FROZEN) ->
		warden_deaths++;
		warden[0] = WARDEN_GONE
	   }
	/* Of what is frozen somebody kills the processes alone. */
	:: atomic {
		warden_deaths < WARDEN_DEATHS && warden[0] == FROZEN -> warden_deaths++;
		warden[0] = USED
	   }
	:: atomic {
		client_deaths < CLIENT_DEATHS && client[0] == SERVED -> client_deaths++;
		client[0] = DEAD
	   }
	:: break
	od
}

/* Where nothing can happen any more, the front waiting for whoever comes. */
#define OVER(c)                                                                             \
	(client[c] != BACKLOG && client[c] != SERVED && client[c] != AGAIN &&               \
	 client[c] != HOLDS_ON && visit[c] == V_NONE &&                                     \
	 (client[c] != ANSWERED || (answers[c] == 1 && records[c] == 1)) &&                 \
	 (client[c] != REFUSED || (answers[c] == 1 && records[c] == 0 && !begun[c])) &&     \
	 (client[c] != HUNG_UP || answers[c] == 0) && records[c] == (begun[c] -> 1 : 0) &&  \
	 !will[c])

proctype judge()
{
	byte j;

	do
	:: timeout ->
		for (j : 0 .. CLIENTS - 1) {
			assert(OVER(j))
		}
		/* Nor has anybody what nobody asks for. */
		for (j : 1 .. NUMBERS - 1) {
			assert(held[j] == POOL_NONE || held[j] == POOL_IDLE)
		}
		assert(!tally_owed);
		break
	od
}

init {
	byte i;

	atomic {
		for (i : 0 .. CLIENTS - 1) {
			client[i] = BACKLOG;
			visit[i] = V_NONE
		}
		for (i : 0 .. PLACES - 1) {
			place[i].state = ABSENT;
			warden[i] = WARDEN_NONE;
			runs_for[i] = NOBODY
		}
		forget_all();
		front_there = true;
		alive = true;
		run front();
		run launcher();
		run functions();
		run holders();
		run deaths();
		run judge()
	}
}
