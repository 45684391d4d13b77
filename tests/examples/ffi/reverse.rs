// SPDX-License-Identifier: MIT
//! A native function: its event, backwards, by characters.
use std::ffi::{c_char, c_int, c_void};

#[repr(C)]
struct Event {
    data: *const c_void,
    len: usize,
    request_id: *const c_char,
    deadline_ms: i64,
}

/// Only C looks into it.
#[repr(C)]
struct Response {
    _private: [u8; 0],
}

type Handler = extern "C" fn(*const Event, *mut Response) -> c_int;

extern "C" {
    fn cloche_serve(handler: Handler) -> c_int;
    fn cloche_respond(response: *mut Response, data: *const c_void, len: usize) -> c_int;
    fn cloche_fail(response: *mut Response, kind: *const c_char, message: *const c_char) -> c_int;
}

/// The response is borrowed until the next event.
static mut ANSWER: String = String::new();

extern "C" fn reverse(event: *const Event, response: *mut Response) -> c_int {
    unsafe {
        let bytes = match (*event).len {
            0 => &[],
            len => std::slice::from_raw_parts((*event).data as *const u8, len),
        };
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                let answer = &mut *std::ptr::addr_of_mut!(ANSWER);
                *answer = text.chars().rev().collect();
                cloche_respond(response, answer.as_ptr() as *const c_void, answer.len())
            }
            Err(_) => cloche_fail(response, b"Utf8Error\0".as_ptr().cast(), b"the event is no text\0".as_ptr().cast()),
        }
    }
}

fn main() {
    std::process::exit(unsafe { cloche_serve(reverse) });
}
