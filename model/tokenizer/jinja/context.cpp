#include "model/tokenizer/jinja/context.h"

#include <string>

#include "base/error.h"
#include "model/tokenizer/jinja/value.h"

namespace weft::jinja {

Context::~Context() {
  for (const auto& object : kept_) object->clear();
}

void Context::step(size_t count) {
  if (count > static_cast<size_t>(limits_.steps - steps_)) {
    throw InputError("the template does more than " + std::to_string(limits_.steps) + " steps");
  }
  steps_ += static_cast<int64_t>(count);
}

void Context::text(size_t bytes) {
  if (bytes > limits_.text_bytes - text_bytes_) {
    throw InputError("the template makes more than " + std::to_string(limits_.text_bytes) +
                     " bytes of text");
  }
  text_bytes_ += bytes;
  scan(bytes);
}

void Context::keep(std::shared_ptr<Object> object) {
  step(16);
  kept_.push_back(std::move(object));
}

Context::Level::Level(Context& context) : context_(context) {
  if (context.depth_ >= context.limits_.depth) {
    throw InputError("the template is nested deeper than " + std::to_string(context.limits_.depth) +
                     " levels when it runs");
  }
  ++context.depth_;
}

}  // namespace weft::jinja
