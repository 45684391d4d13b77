! SPDX-License-Identifier: MIT
! A native function: the mean of the numbers in its event.
module mean_handler
  use, intrinsic :: iso_c_binding
  implicit none

  type, bind(c) :: event
    type(c_ptr) :: bytes
    integer(c_size_t) :: length
    type(c_ptr) :: request_id
    integer(c_int64_t) :: deadline_ms
  end type

  interface
    integer(c_int) function cloche_serve(handler) bind(c)
      import :: c_int, c_funptr
      type(c_funptr), value :: handler
    end function
    integer(c_int) function cloche_respond(response, bytes, length) bind(c)
      import :: c_int, c_ptr, c_size_t
      type(c_ptr), value :: response, bytes
      integer(c_size_t), value :: length
    end function
    integer(c_int) function cloche_fail(response, kind, message) bind(c)
      import :: c_int, c_ptr, c_char
      type(c_ptr), value :: response
      character(kind=c_char), intent(in) :: kind(*), message(*)
    end function
  end interface

  ! The response is borrowed until the next event.
  character(len=32), target :: answer

contains

  integer(c_int) function mean(e, response) bind(c)
    type(event), intent(in) :: e
    type(c_ptr), value :: response
    character(len=1), pointer :: bytes(:)
    character(len=:), allocatable :: text
    real(c_double), allocatable :: x(:)
    integer :: i, n, status

    call c_f_pointer(e%bytes, bytes, [e%length])
    allocate (character(len=size(bytes)) :: text)
    n = 0
    do i = 1, size(bytes)
      text(i:i) = bytes(i)
      if (bytes(i) /= ' ') then
        if (i == 1) then
          n = n + 1
        else if (bytes(i - 1) == ' ') then
          n = n + 1
        end if
      end if
    end do
    allocate (x(n))
    read (text, *, iostat=status) x
    if (n == 0 .or. status /= 0) then
      mean = cloche_fail(response, c_char_'ValueError'//c_null_char, &
                         c_char_'numbers with blanks in between are expected'//c_null_char)
      return
    end if
    write (answer, '(f0.3)') sum(x)/n
    mean = cloche_respond(response, c_loc(answer), len_trim(answer, kind=c_size_t))
  end function
end module

program serve
  use mean_handler
  implicit none
  if (cloche_serve(c_funloc(mean)) /= 0) error stop
end program
