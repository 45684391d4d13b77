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
#define CLIENTS 2
#ifndef PLACES
#define PLACES 2
#endif
#define NUMBERS 7 /* that one front can give */
#define NOBODY	255

mtype:reply = { REPLY_MADE, REPLY_REFUSED, REPLY_COUNTED, REPLY_KEPT, REPLY_GONE, REPLY_ALONE,
		REPLY_PING, REPLY_PRESSED, REPLY_CONFIG, REPLY_TALLY,
		REPLY_LEFT };

/* ---- what each has --------------------------------------------------------------------------- */

/* Clients. BACKLOG: connected, and nobody has accepted it. */
mtype:client = { BACKLOG, SERVED, ANSWERED, REFUSED, HUNG_UP, DEAD };
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

/* The front's memory, lost with it. */
mtype:visit = { V_NONE, V_SEEKS, V_WAITS, V_MAKES, V_HAS, V_WILLED, V_RUNS, V_COUNTS, V_COUNTED,
		V_BOOKED, V_STRUCK };
mtype:visit visit[CLIENTS];
byte has[CLIENTS]; /* number of its context */
bool killed[CLIENTS];
mtype:held = { H_NONE, H_MAKING, H_BUSY, H_IDLE, H_VERIFIES, H_ENDS };
mtype:held held[NUMBERS];
byte held_place[NUMBERS], held_owner[NUMBERS], held_user[NUMBERS];
byte numbers;
bool left[CLIENTS], told_alone, said_ready, alive, hangs;
bool tally_owed; /* somebody asks what there is */

/* For the length of one step. */
hidden byte f_i, r_i, m_i, i_i, l_i, user, at, state;
hidden byte room;

chan commands = [6] of { byte, byte, byte };	     /* kind, number, owner */
/* Those of the contexts, and these. */
#define REPLIES_ROOM (8 + PLACES + PRESSES + CONFIGS + TALLIES)
chan replies = [REPLIES_ROOM] of { mtype:reply, byte, byte }; /* kind, number, place */

byte front_deaths, warden_deaths, client_deaths, presses, configs, tallies;

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
		:: client[f_i] == SERVED -> client[f_i] = HUNG_UP
		:: else
		fi;
		visit[f_i] = V_NONE;
		killed[f_i] = false;
		has[f_i] = 0
	}
	for (f_i : 0 .. NUMBERS - 1) {
		held[f_i] = H_NONE;
		held_place[f_i] = 0;
		held_owner[f_i] = 0;
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
		:: held[m_i] == H_ENDS || held[m_i] == H_VERIFIES -> has_room = true
		:: else
		fi
	}
	for (m_i : 0 .. NUMBERS - 1) {
		if
		:: !has_room && held[m_i] == H_IDLE ->
			held[m_i] = H_ENDS;
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
		:: idle_one == 0 && held[i_i] == H_IDLE && held_owner[i_i] == OWNER(i_client) -> idle_one = i_i
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
		:: !room && held[m_i] == H_IDLE ->
			held[m_i] = H_ENDS;
			room = true;
			tell(COMMAND_END, m_i, 0)
		:: else
		fi
	}
}

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
		:: user == NOBODY -> held[y_number] = H_IDLE; retry()
		:: else -> held[y_number] = H_BUSY; has[user] = y_number; visit[user] = V_HAS
		fi
	:: y_kind == REPLY_REFUSED ->
		held[y_number] = H_NONE;
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
	:: y_kind == REPLY_COUNTED ->
		if
		:: user != NOBODY && visit[user] == V_COUNTS -> visit[user] = V_COUNTED
		:: else
		fi
	:: y_kind == REPLY_KEPT ->
		if
		:: held[y_number] == H_VERIFIES -> held[y_number] = H_IDLE; retry()
		:: else
		fi
	:: y_kind == REPLY_GONE -> held[y_number] = H_NONE; held_user[y_number] = NOBODY; retry()
	fi
}

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
		:: found && (warden[held_place[found]] == WARDEN_GONE) ->
			held[found] = H_ENDS;
			tell(COMMAND_END, found, 0)
		:: found && (warden[held_place[found]] != WARDEN_GONE) ->
			held[found] = H_BUSY;
			held_user[found] = c;
			has[c] = found;
			visit[c] = V_HAS
		:: !found ->
			/* A number that was never given before. */
			numbers++;
			assert(numbers < NUMBERS);
			if
			:: true ->
				held[numbers] = H_MAKING;
				held_owner[numbers] = OWNER(c);
				held_user[numbers] = c;
				has[c] = numbers;
				visit[c] = V_MAKES;
				tell(COMMAND_MAKE, numbers, OWNER(c))
			fi
		fi;
		found = 0
	   }
	:: atomic { UP && visit[0] == V_HAS -> will[0] = true; begun[0] = true; visit[0] = V_WILLED }
	:: atomic { UP && visit[1] == V_HAS -> will[1] = true; begun[1] = true; visit[1] = V_WILLED }
	:: atomic {
		UP && (visit[0] == V_WILLED || visit[1] == V_WILLED) ->
		if
		:: visit[0] == V_WILLED -> c = 0
		:: visit[1] == V_WILLED -> c = 1
		fi;
		p = held_place[has[c]];
		if
		:: warden[p] == RENEWED ->
			assert(place[p].owner == OWNER(c));
			assert(runs_for[p] == NOBODY);
			tell_warden(p, WARDEN_GO, true);
			warden[p] = RUNNING;
			runs_for[p] = c
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
		UP && (visit[0] == V_STRUCK || visit[1] == V_STRUCK) ->
		c = (visit[0] == V_STRUCK -> 0 : 1);
		assert(records[c] == 1);
		if
		:: client[c] == SERVED -> client[c] = ANSWERED; answers[c]++
		:: else
		fi;
		held_user[has[c]] = NOBODY;
		visit[c] = V_NONE;
		killed[c] = false;
		if
		:: held[has[c]] = H_VERIFIES; tell(COMMAND_KEEP, has[c], 0)
		:: held[has[c]] = H_ENDS; tell(COMMAND_END, has[c], 0)
		fi;
		has[c] = 0
	   }
	:: atomic {
		UP && said_ready && !tally_owed && tallies < TALLIES -> tallies++;
		tally_owed = true;
		tell(COMMAND_TALLY, 0, 0)
	   }
	/* An idle one has expired. */
	:: atomic {
		UP && (held[1] == H_IDLE || held[2] == H_IDLE || held[3] == H_IDLE) ->
		n = (held[1] == H_IDLE -> 1 : (held[2] == H_IDLE -> 2 : 3));
		held[n] = H_ENDS;
		tell(COMMAND_END, n, 0)
	   }
	od
}

/* ---- the launcher ---------------------------------------------------------------------------- */

inline say(s_kind, s_number, s_place)
{
	if
	:: front_there -> assert(nfull(replies)); replies!s_kind, s_number, s_place
	:: else
	fi
}

/* Of a number: its place; PLACES: there is none. A silent one's is nobody's. */
inline find_place(a_number, found_at)
{
	found_at = PLACES;
	for (l_i : 0 .. PLACES - 1) {
		if
		:: place[l_i].state != ABSENT && !place[l_i].silent && place[l_i].number == a_number ->
			assert(found_at == PLACES);
			found_at = l_i
		:: else
		fi
	}
}

inline renew(n_place)
{
	tell_warden(n_place, WARDEN_RENEW, false);
	warden[n_place] = RENEWED
}

inline hand_over(o_place)
{
	place[o_place].state = HANDED;
	if
	:: warden[o_place] = SETTING_UP
	:: warden[o_place] = BLANK; tell_warden(o_place, WARDEN_DRESS, false)
	fi;
	warden[o_place] = READY;
	renew(o_place);
	say(REPLY_MADE, place[o_place].number, o_place)
}

inline make_context(c_number, c_owner, c_place)
{
	c_place = 0;
	do
	:: c_place < PLACES && place[c_place].state != ABSENT -> c_place++
	:: else -> break
	od;
	if
	:: c_place == PLACES -> say(REPLY_REFUSED, c_number, 0)
	:: else ->
		assert(warden[c_place] == WARDEN_NONE && runs_for[c_place] == NOBODY);
		place[c_place].number = c_number;
		place[c_place].owner = c_owner;
		place[c_place].silent = false;
		if
		:: hand_over(c_place)
		:: place[c_place].state = MOUNTING /* its image is not there yet */
		fi
	fi
}

/* Of each that ran something when its front ended, also where it is gone by now. */
inline tell_left()
{
	for (l_i : 0 .. PLACES - 1) {
		if
		:: front_deaths > 0 -> say(REPLY_LEFT, 0, l_i)
		:: true
		fi
	}
}

inline hear_command(h_kind, h_number, h_owner)
{
	find_place(h_number, at);
	if
	:: !ready -> state = UNREADY
	:: ready && at == PLACES -> state = ABSENT
	:: else -> state = place[at].state
	fi;
	assert(ALLOWED(h_kind, state));
	asked = false;
	if
	:: h_kind == COMMAND_READY ->
		ready = true;
		tell_left()
	:: h_kind == COMMAND_PONG
	:: h_kind == COMMAND_TALLY -> say(REPLY_TALLY, 0, 0)
	:: h_kind == COMMAND_MAKE -> make_context(h_number, h_owner, at)
	:: h_kind == COMMAND_KILL ->
		if
		:: warden[at] == RUNNING -> warden[at] = USED
		:: else
		fi
	:: h_kind == COMMAND_COUNT -> place[at].state = COUNTING
	:: h_kind == COMMAND_KEEP -> place[at].state = PROVING
	:: h_kind == COMMAND_END -> place[at].state = ENDING
	fi
}

#define A_SILENT_ONE                                          \
	((place[0].state != ABSENT && place[0].silent) ||     \
	 (place[PLACES - 1].state != ABSENT && place[PLACES - 1].silent))

proctype launcher()
{
	byte kind, number, owner, p;

	do
	:: atomic {
		front_there && nempty(commands) ->
		commands?kind, number, owner;
		hear_command(kind, number, owner)
	   }
	:: atomic {
		place[0].state == COUNTING && warden[0] != RUNNING ->
		place[0].state = COUNTED;
		say(REPLY_COUNTED, place[0].number, 0)
	   }
	:: atomic {
		place[PLACES - 1].state == COUNTING && warden[PLACES - 1] != RUNNING ->
		place[PLACES - 1].state = COUNTED;
		say(REPLY_COUNTED, place[PLACES - 1].number, 0)
	   }
	:: atomic {
		place[0].state == MOUNTING || place[PLACES - 1].state == MOUNTING ->
		p = (place[0].state == MOUNTING -> 0 : PLACES - 1);
		if
		:: !place[p].silent -> hand_over(p)
		:: !place[p].silent -> /* it cannot be mounted */
			place[p].state = ABSENT;
			say(REPLY_REFUSED, place[p].number, 0);
			place[p].number = 0
		:: place[p].silent ->
			place[p].state = ABSENT;
			place[p].silent = false;
			place[p].number = 0
		fi
	   }
	:: atomic {
		place[0].state == PROVING || place[PLACES - 1].state == PROVING ->
		p = (place[0].state == PROVING -> 0 : PLACES - 1);
		if
		:: warden[p] == USED ->
			tell_warden(p, WARDEN_PROVE, false);
			if
			:: warden[p] = READY;
				renew(p);
				runs_for[p] = NOBODY;
				place[p].state = HANDED;
				say(REPLY_KEPT, place[p].number, 0)
			:: warden[p] = DIRTY; place[p].state = ENDING
			fi
		:: else -> assert(warden[p] == WARDEN_GONE); place[p].state = ENDING
		fi
	   }
	:: atomic {
		place[0].state == ENDING || place[PLACES - 1].state == ENDING ->
		p = (place[0].state == ENDING -> 0 : PLACES - 1);
		warden[p] = WARDEN_NONE;
		runs_for[p] = NOBODY;
		place[p].state = ABSENT;
		if
		:: !place[p].silent -> say(REPLY_GONE, place[p].number, 0)
		:: else
		fi;
		place[p].silent = false;
		place[p].number = 0
	   }
	:: atomic {
		ready && !alone && !A_SILENT_ONE ->
		alone = true;
		say(REPLY_ALONE, 0, 0)
	   }
	:: atomic { front_there && ready && presses < PRESSES -> presses++; say(REPLY_PRESSED, 0, 0) }
	:: atomic { front_there && ready && configs < CONFIGS -> configs++; say(REPLY_CONFIG, 0, 0) }
	/* Where it says nothing: only that it hangs lets the time pass that this takes. That nothing
	 * is owed is no reason not to ask: it may have accepted a client that nobody knows of. */
	:: atomic {
		front_there && hangs && !asked && ready -> asked = true;
		say(REPLY_PING, 0, 0)
	   }
	:: atomic { front_there && hangs && (asked || !ready) -> alive = false }
	/* It is gone: so is all that it had, and another one begins. */
	:: atomic {
		front_there && !alive ->
		front_there = false;
		ready = false;
		alone = false;
		asked = false;
		hangs = false;
		do
		:: nempty(commands) -> commands?_, _, _
		:: empty(commands) -> break
		od;
		do
		:: nempty(replies) -> replies?_, _, _
		:: empty(replies) -> break
		od;
		for (p : 0 .. PLACES - 1) {
			if
			:: place[p].state == MOUNTING -> place[p].silent = true
			:: place[p].state != ABSENT && place[p].state != MOUNTING ->
				place[p].silent = true;
				place[p].state = ENDING
			:: else
			fi
		}
	   }
	:: atomic {
		!front_there ->
		forget_all();
		left[0] = will[0];
		left[1] = will[1];
		front_there = true;
		alive = true
	   }
	od
}

/* ---- what happens to them -------------------------------------------------------------------- */

/* A function's process comes to its end, by itself or at its deadline, which the warden keeps. */
proctype functions()
{
	do
	:: atomic { warden[0] == RUNNING -> warden[0] = USED }
	:: atomic { warden[PLACES - 1] == RUNNING -> warden[PLACES - 1] = USED }
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
						  warden[0] == USED) ->
		warden_deaths++;
		warden[0] = WARDEN_GONE
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
	(client[c] != BACKLOG && client[c] != SERVED &&                                     \
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
		run deaths();
		run judge()
	}
}
