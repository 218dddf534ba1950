#pragma once
#include <curl/curl.h>

// Swift cannot call C functions with variable arguments. Each wrapper below is one such call with one type of argument;
// the caller picks the option whose manual page names that type.

typedef size_t (*gateway_curl_sink)(char *bytes, size_t size, size_t count, void *context);

static inline CURLcode gateway_curl_set_long(CURL *handle, CURLoption option, long value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode gateway_curl_set_size(CURL *handle, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode gateway_curl_set_text(CURL *handle, CURLoption option, const char *value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode gateway_curl_set_pointer(CURL *handle, CURLoption option, void *value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode gateway_curl_set_address(CURL *handle, CURLU *value) {
    return curl_easy_setopt(handle, CURLOPT_CURLU, value);
}
static inline CURLcode gateway_curl_set_fields(CURL *handle, struct curl_slist *value) {
    return curl_easy_setopt(handle, CURLOPT_HTTPHEADER, value);
}
static inline CURLcode gateway_curl_set_sink(CURL *handle, CURLoption option, gateway_curl_sink value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode gateway_curl_get_long(CURL *handle, CURLINFO info, long *value) {
    return curl_easy_getinfo(handle, info, value);
}
static inline CURLcode gateway_curl_get_text(CURL *handle, CURLINFO info, char **value) {
    return curl_easy_getinfo(handle, info, value);
}
static inline CURLMcode gateway_curl_multi_set_long(CURLM *handle, CURLMoption option, long value) {
    return curl_multi_setopt(handle, option, value);
}
