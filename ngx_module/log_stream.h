// The log of a store as an answer that does not end: messages (engine/replication/stream.h) of what
// is in the log files, and then of each commit as it becomes durable.
//
// Memory: what is sent next is made when all before it has gone out to the socket, and is about
// kStreamBufferBytes long, or one frame. So a follower that does not read costs one such buffer,
// until nginx's send_timeout ends it.
//
// What wakes a stream: the worker's bell, which the store's owner rings at each commit while the
// worker's slot says that it watches the log; its own timer, which also makes up for a bell that
// was not heard; and nginx, when the socket takes more. It ends when this node is no primary of its
// epoch any more, when the store serves no reads, when the log can't be read on, and at once when
// the worker is to go. All of it runs in the worker's event loop.
#pragma once

#include <cstddef>

#include "engine/replication/handshake.h"
#include "ngx_module/directives.h"

namespace small_db {

inline constexpr size_t kStreamBufferBytes = 128 * kKiB;

// Sends the answer's head and begins. Returns what a content handler returns.
// REQUIRES: the follower may go on from hello.revision (judge), and has a place in the table.
ngx_int_t start_log_stream(ngx_http_request_t* r, const StoreConf& store, const NodeIdentity& node,
                           const Hello& hello) noexcept;

// Has every stream of this process look for new log.
void wake_log_streams() noexcept;

// Ends every stream of this process.
void end_log_streams() noexcept;

// This process ends, and nginx frees no request: takes its streams out of what is shared.
void forget_log_streams() noexcept;

}  // namespace small_db
