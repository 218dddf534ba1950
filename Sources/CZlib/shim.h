#pragma once
// What the Compression module uses of zlib. deflateInit2 is a macro that Swift does not see.
#include <zlib.h>

static inline int metaflow_gateway_deflate_init(z_stream *stream, int level, int window_bits, int memory_level) {
    return deflateInit2(stream, level, Z_DEFLATED, window_bits, memory_level, Z_DEFAULT_STRATEGY);
}
