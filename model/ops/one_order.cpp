#include "model/ops/one_order.h"

namespace weft::ops {
namespace {

thread_local bool one_order = false;

}  // namespace

OneOrder::OneOrder(bool on) : before_(one_order) { one_order = one_order || on; }

OneOrder::~OneOrder() { one_order = before_; }

bool OneOrder::on() { return one_order; }

}  // namespace weft::ops
