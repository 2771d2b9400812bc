#pragma once

#include <string>

#include "model/transformer/lora.h"

namespace weft {

/// Reads PEFT's adapter_config.json. Throws InputError naming a field that changes what the weights
/// mean in a way that Lora does not have, known to this version or not: another peft_type, some
/// layers only (layers_to_transform), ranks by pattern, an initialisation that takes a part out of
/// the base, ...
LoraConfig read_adapter_config(const std::string& path);

}  // namespace weft
