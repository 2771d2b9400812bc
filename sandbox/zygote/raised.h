/// Reports of Python exceptions that run no guest code: C structs are read, nothing is called.
#pragma once

#include <string>

namespace weft::zygote {

/// Takes the current exception and returns it as the wire bytes of (type name, message, [lines of
/// the traceback]), all bounded. Lines outside of `main_file` name their file. The message of
/// a SyntaxError ends with its line.
std::string take_exception(const char* main_file);

}  // namespace weft::zygote
