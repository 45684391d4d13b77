/* SPDX-License-Identifier: MIT */
/*
 * A client that says that another request follows, and has its context until then: a part of
 * daemon.pml. Only the first one does.
 */

/* ---- the front ------------------------------------------------------------------------------- */

/* held_take of the one that it had. */
inline resume(u_client)
{
	if
	:: IS_LOST(has[u_client]) ->
		held[has[u_client]] = POOL_ENDING;
		held_user[has[u_client]] = NOBODY;
		tell(COMMAND_END, has[u_client], 0);
		has[u_client] = 0;
		visit[u_client] = V_SEEKS
	:: else -> visit[u_client] = V_HAS
	fi
}

/* held_spare: another one may have it when it is clean. */
inline spare(p_client)
{
	if
	:: has[p_client] != 0 ->
		if
		:: held[has[p_client]] == POOL_RESERVED -> held[has[p_client]] = POOL_VERIFYING
		:: else ->
			assert(held[has[p_client]] == POOL_BUSY);
			held[has[p_client]] = POOL_IDLE;
			retry()
		fi;
		held_user[has[p_client]] = NOBODY
	:: else
	fi;
	has[p_client] = 0
}

/* ---- the client ------------------------------------------------------------------------------ */

/* Whose answer it is has taken it, and asks for another one, or goes. */
proctype holders()
{
	byte c;

	do
	:: atomic {
		client[0] == HOLDS_ON || client[1] == HOLDS_ON ->
		if
		:: client[0] == HOLDS_ON -> c = 0
		:: client[1] == HOLDS_ON -> c = 1
		fi;
		assert(answers[c] == 1 && records[c] == 1 && begun[c] && !will[c]);
		if
		:: client[c] = AGAIN;
			answers[c] = 0;
			records[c] = 0;
			begun[c] = false
		:: client[c] = ANSWERED
		fi
	   }
	od
}
