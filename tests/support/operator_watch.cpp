#include "tests/support/operator_watch.h"

#include <ATen/record_function.h>

#include <memory>
#include <stdexcept>
#include <utility>

namespace weft::test {
namespace {

std::function<void(std::string_view)>& watching() {
  static std::function<void(std::string_view)> f;
  return f;
}

std::unique_ptr<at::ObserverContext> tell(const at::RecordFunction& function) {
  watching()(function.name());
  return nullptr;
}

}  // namespace

OperatorWatch::OperatorWatch(std::function<void(std::string_view)> f) {
  if (watching()) throw std::logic_error("a second OperatorWatch");
  watching() = std::move(f);
  handle_ =
      at::addGlobalCallback(at::RecordFunctionCallback(tell).scopes({at::RecordScope::FUNCTION}));
}

OperatorWatch::~OperatorWatch() {
  at::removeCallback(handle_);
  watching() = nullptr;
}

}  // namespace weft::test
