/// Operators of LibTorch on the fake device by means of the CPU's.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

namespace weft::test::fake {

/// Runs the CPU's form of an operator on the shadow. Unlike LibTorch's own fallback it throws,
/// naming the operator, where a tensor with dimensions is on the CPU, alone or in a list, and where
/// the result would be a view.
void cpu_fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack);

}  // namespace weft::test::fake
