/// Looks on while LibTorch works.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace weft::test {

/// While it lives, `f` is called with the name of each of LibTorch's operators ("aten::add_") just
/// before it runs, on the thread that runs it. One at a time in a process.
class OperatorWatch {
 public:
  explicit OperatorWatch(std::function<void(std::string_view)> f);
  ~OperatorWatch();
  OperatorWatch(const OperatorWatch&) = delete;
  OperatorWatch& operator=(const OperatorWatch&) = delete;

 private:
  uint64_t handle_;
};

}  // namespace weft::test
