#include "trainer/learn/update/out_of_memory.h"

#include <c10/util/Exception.h>

#include <new>
#include <string>

namespace weft {
namespace {

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// LibTorch's allocator of the host throws no class of its own.
bool is_of_the_host(const c10::Error& error) {
  return std::string(error.what_without_backtrace()).find("can't allocate memory") !=
         std::string::npos;
}

}  // namespace

void naming_out_of_memory(const std::function<void()>& f) {
  try {
    f();
  } catch (const c10::OutOfMemoryError& error) {
    throw OutOfMemory("out of memory: " + first_line(error.what_without_backtrace()));
  } catch (const c10::Error& error) {
    if (!is_of_the_host(error)) throw;
    throw OutOfMemory("out of memory: " + first_line(error.what_without_backtrace()));
  } catch (const std::bad_alloc&) {
    throw OutOfMemory("out of memory of the host");
  }
}

}  // namespace weft
