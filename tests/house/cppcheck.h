/* SPDX-License-Identifier: MIT */
/* What cppcheck must know of the libraries' macros; nothing else includes it. */
#define json_array_foreach(array, index, value) \
	for (index = 0; (value = json_array_get(array, index)); index++)
#define json_object_foreach(object, key, value)                                             \
	for (void *at_ = json_object_iter(object);                                          \
	     at_ && (key = json_object_iter_key(at_), value = json_object_iter_value(at_)); \
	     at_ = json_object_iter_next(object, at_))
