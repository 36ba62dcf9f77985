#include "ngx_module/bells.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <memory>
#include <new>

namespace small_db {
namespace {

// What nginx's event loop needs to know of a descriptor, without one of its own connections: those
// are counted, reused and, at a worker's exit, complained about.
struct BellConnection {
  explicit BellConnection(int descriptor) noexcept {
    connection.fd = descriptor;
    connection.read = &read;
    connection.write = &write;
    connection.log = ngx_cycle->log;
    read.data = write.data = &connection;
    read.log = write.log = ngx_cycle->log;
    write.write = 1;
  }
  ngx_connection_t connection{};
  ngx_event_t read{};
  ngx_event_t write{};
};

// By slot number; made when first listened to, then kept for the process's life.
std::vector<std::unique_ptr<BellConnection>>& listened() noexcept {
  static auto* connections = new std::vector<std::unique_ptr<BellConnection>>();
  return *connections;
}

}  // namespace

ngx_int_t EventfdBells::ensure(uint32_t count, ngx_log_t* log) noexcept {
  try {
    descriptors_.reserve(count);
  } catch (const std::bad_alloc&) {
    return NGX_ERROR;
  }
  while (descriptors_.size() < count) {
    const int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (descriptor == -1) {
      ngx_log_error(NGX_LOG_EMERG, log, ngx_errno, "eventfd() failed");
      return NGX_ERROR;
    }
    descriptors_.push_back(descriptor);
  }
  return NGX_OK;
}

void EventfdBells::ring(uint32_t slot) noexcept {
  const int descriptor_of_slot = descriptor(slot);
  if (descriptor_of_slot == -1) return;
  const uint64_t one = 1;
  // It can only fail at a count that no process lives to see; the bell is heard by then.
  [[maybe_unused]] const ssize_t written = ::write(descriptor_of_slot, &one, sizeof(one));
}

int EventfdBells::descriptor(uint32_t slot) const noexcept {
  return slot < descriptors_.size() ? descriptors_[slot] : -1;
}

EventfdBells& worker_bells() noexcept {
  static auto* bells = new EventfdBells();
  return *bells;
}

ngx_int_t listen_to_bell(uint32_t slot, ngx_event_handler_pt handler) noexcept {
  const int descriptor = worker_bells().descriptor(slot);
  if (descriptor == -1) return NGX_ERROR;
  auto& connections = listened();
  try {
    if (connections.size() <= slot) connections.resize(slot + 1);
    if (connections[slot] != nullptr) return NGX_OK;
    connections[slot] = std::make_unique<BellConnection>(descriptor);
  } catch (const std::bad_alloc&) {
    return NGX_ERROR;
  }
  ngx_event_t* read = &connections[slot]->read;
  read->handler = handler;
  return ngx_add_event(read, NGX_READ_EVENT, NGX_CLEAR_EVENT);
}

}  // namespace small_db
