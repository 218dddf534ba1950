#pragma once
// What the HTTP2 module uses of libnghttp2 (1.52 or later; 1.57 or Debian's security updates for the two limits on resets and CONTINUATION).
#include <nghttp2/nghttp2.h>
