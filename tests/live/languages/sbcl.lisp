;;; SPDX-License-Identifier: MIT
(require :sb-bsd-sockets)
(require :sb-posix)

(defun threads ()
  (flet ((add () (loop for i from 1 to 1000 sum i)))
    (reduce #'+ (mapcar #'sb-thread:join-thread
                        (loop repeat 4 collect (sb-thread:make-thread #'add))))))

(defun output (script)
  (let* ((said (make-string-output-stream))
         (child (sb-ext:run-program "/bin/sh" (list "-c" script) :output said)))
    (values (string-trim '(#\Newline) (get-output-stream-string said))
            (sb-ext:process-exit-code child))))

(defun children ()
  (format nil "~{~a~^ ~}" (multiple-value-list (output "echo child; exit 7"))))

(defun files ()
  (sb-posix:mkdir "/tmp/d" #o755)
  (with-open-file (out "/tmp/d/a" :direction :output)
    (dotimes (i 1000) (format out "~d~%" i)))
  (sb-posix:rename "/tmp/d/a" "/tmp/d/b")
  (let ((lines (with-open-file (in "/tmp/d/b") (loop while (read-line in nil) count t)))
        (found (mapcar #'file-namestring (directory "/tmp/d/*"))))
    (delete-file "/tmp/d/b")
    (sb-posix:rmdir "/tmp/d")
    (format nil "~d~{ ~a~}" lines found)))

(defun resolve (name)
  (sb-bsd-sockets:host-ent-address (sb-bsd-sockets:get-host-by-name name)))

(defun tcp ()
  (make-instance 'sb-bsd-sockets:inet-socket :type :stream :protocol :tcp))

(defun server ()
  (let ((listener (tcp)) (client (tcp)) (said (make-string 4)))
    (sb-bsd-sockets:socket-bind listener #(127 0 0 1) 0)
    (sb-bsd-sockets:socket-listen listener 1)
    (sb-bsd-sockets:socket-connect client (resolve "localhost")
                                   (nth-value 1 (sb-bsd-sockets:socket-name listener)))
    (let ((peer (sb-bsd-sockets:socket-accept listener)))
      (sb-bsd-sockets:socket-send client "ping" 4)
      (sb-bsd-sockets:socket-receive peer said 4)
      (sb-bsd-sockets:socket-send peer "pong" 4)
      (sb-bsd-sockets:socket-receive client said 4)
      said)))

(defun names ()
  (let ((host (machine-instance)))
    (format nil "~a ~{~d~^.~} ~a ~a" host (coerce (resolve host) 'list)
            (sb-posix:passwd-name (sb-posix:getpwuid (sb-posix:getuid)))
            (sb-posix:getenv "HOME"))))

;; Its own zone is one offset for all times: the shell knows the rules.
(defun zone ()
  (nth-value 0 (output "date -d @1700000000 '+%F %T'")))

(defun text (argument)
  (let ((line (read-line)))
    (format nil "~d ~d ~a" (length argument) (length line) line)))

(defun memory (blocks)
  (let ((held (loop repeat blocks
                    collect (make-array 1048576 :element-type '(unsigned-byte 8)
                                                :initial-element 1))))
    (reduce #'+ held :key (lambda (block) (aref block 0)))))

(let ((check (second sb-ext:*posix-argv*)) (argument (third sb-ext:*posix-argv*)))
  (format t "~a~%"
          (cond ((equal check "hello") "hello")
                ((equal check "text") (text argument))
                ((equal check "memory") (memory (parse-integer argument)))
                (t (funcall (intern (string-upcase check)))))))
