// A port of this machine that no other test takes, whether something listens on it just now or not:
// servers are stopped and started again, and a test that runs beside must not find their port free.
#pragma once

namespace small_db::testing {

class ReservedPort {
 public:
  // A free one. Not one that the kernel gives to clients: while the server is down, a client that
  // tries to reach it could be given its port, and be connected to itself.
  ReservedPort();
  ReservedPort(ReservedPort&& other) noexcept;
  ReservedPort& operator=(ReservedPort&& other) noexcept;
  ~ReservedPort();

  int number() const noexcept { return number_; }

 private:
  int number_ = 0;
  int reservation_ = -1;  // a socket whose name says the port; gone with this process at the latest
};

}  // namespace small_db::testing
