/* SPDX-License-Identifier: MIT */
/* The launcher: a part of daemon.pml. */

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
	parted[o_place] = false;
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
		:: RUNS(warden[at]) -> warden[at] = USED
		:: else
		fi
	:: h_kind == COMMAND_COUNT -> place[at].state = COUNTING
	/* But for what was counted by a notice. */
	:: h_kind == COMMAND_RECOUNT ->
		if
		:: place[at].state == HANDED && runs_for[at] != NOBODY -> place[at].state = COUNTING
		:: else
		fi
	/* What is kept, or was, stays as it is meanwhile. */
	:: h_kind == COMMAND_TRACE ->
		if
		:: parted[at] -> say(REPLY_TRACED, place[at].number, at)
		:: !parted[at] -> place[at].state = TRACING
		:: !parted[at] -> say(REPLY_TRACED, place[at].number, at) /* it is not */
		fi
	:: h_kind == COMMAND_CONCLUDE ->
		if
		:: place[at].state == COUNTED -> place[at].state = CONCLUDING
		:: else -> assert(parted[at]); say(REPLY_CONCLUDED, place[at].number, at)
		fi
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
	/* Of one that is not handed out any more it is nobody's. */
	:: atomic {
		unread[0] || unread[PLACES - 1] ->
		p = (unread[0] -> 0 : PLACES - 1);
		unread[p] = false;
		if
		:: place[p].state == HANDED -> place[p].state = COUNTING
		:: else
		fi
	   }
	:: atomic {
		place[0].state == COUNTING && !RUNS(warden[0]) ->
		place[0].state = COUNTED;
		parted[0] = false;
		say(REPLY_COUNTED, place[0].number, 0)
	   }
	:: atomic {
		place[PLACES - 1].state == COUNTING && !RUNS(warden[PLACES - 1]) ->
		place[PLACES - 1].state = COUNTED;
		parted[PLACES - 1] = false;
		say(REPLY_COUNTED, place[PLACES - 1].number, 0)
	   }
	/* What it has used so far, and it may go on. */
	:: atomic {
		(place[0].state == COUNTING && warden[0] == FROZEN) ||
		(place[PLACES - 1].state == COUNTING && warden[PLACES - 1] == FROZEN) ->
		p = ((place[0].state == COUNTING && warden[0] == FROZEN) -> 0 : PLACES - 1);
		place[p].state = HANDED;
		parted[p] = true;
		runs_for[p] = NOBODY;
		say(REPLY_PARTED, place[p].number, p)
	   }
	/* Who traces is there, or cannot be; and has said all, or is dead. */
	:: atomic {
		place[0].state == TRACING || place[PLACES - 1].state == TRACING ->
		p = (place[0].state == TRACING -> 0 : PLACES - 1);
		place[p].state = HANDED;
		say(REPLY_TRACED, place[p].number, p)
	   }
	:: atomic {
		place[0].state == CONCLUDING || place[PLACES - 1].state == CONCLUDING ->
		p = (place[0].state == CONCLUDING -> 0 : PLACES - 1);
		place[p].state = COUNTED;
		say(REPLY_CONCLUDED, place[p].number, p)
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
		noticed[p] = false;
		unread[p] = false; /* the next is told from it */
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
