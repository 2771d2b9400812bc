/// The operators that the fake device has itself: making and viewing tensors, copies, and what has
/// no form on the CPU.
#pragma once

#include <c10/core/Allocator.h>

namespace torch {
class Library;
}

namespace weft::test::fake {

/// fake::device() without registering it.
inline c10::Device own_device() { return {c10::DeviceType::PrivateUse1, 0}; }

c10::Allocator& allocator();

void register_operators(torch::Library& aten);
void register_flash_attention(torch::Library& aten);

}  // namespace weft::test::fake
