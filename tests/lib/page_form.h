/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_PAGE_FORM_H
#define CLOCHE_TESTS_LIB_PAGE_FORM_H

/*
 * What is wrong with a page of trace/page.h, and where, or NULL: each tag is closed in turn, each
 * attribute quoted (what a hole in the escaping would break), no tag runs or asks for something,
 * and no control character is in it.
 */
const char *page_form_why(const char *page, const char **ret_at);

#endif
