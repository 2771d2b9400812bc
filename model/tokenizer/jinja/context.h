/// What one rendering may use, and what it has used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace weft::jinja {

/// Each is far above what a prompt of a million tokens needs. Beyond it: InputError.
struct Limits {
  int64_t steps = 10'000'000;           ///< statements, expressions, items made or looked at
  size_t text_bytes = size_t{1} << 28;  ///< of all texts made, intermediate ones included
  int depth = 400;                      ///< expressions, statements and macros inside each other
};

struct Object;

/// Of one rendering, on one thread.
class Context {
 public:
  explicit Context(const Limits& limits) : limits_(limits) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  /// Throws InputError when the rendering has done too much.
  void step(size_t count = 1);
  /// The same for texts; looking through a text counts as a step every 64 bytes.
  void text(size_t bytes);
  void scan(size_t bytes) { step(bytes / 64); }

  /// An object that may come to hold itself: emptied when the rendering ends.
  void keep(std::shared_ptr<Object> object);

  /// One more level of nesting, until destroyed.
  class Level {
   public:
    explicit Level(Context& context);
    ~Level() { --context_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Context& context_;
  };

  int line = 1;  ///< of the statement at hand, for messages

 private:
  Limits limits_;
  int64_t steps_ = 0;
  size_t text_bytes_ = 0;
  int depth_ = 0;
  std::vector<std::shared_ptr<Object>> kept_;
};

}  // namespace weft::jinja
