/// Which weights an adapter was trained over, kept beside it, so that no other base is taken under
/// it without a word.
#pragma once

#include <filesystem>
#include <string>

namespace weft {

/// Name of the file in an adapter's folder: {"source": the base's folder, "weights": 16 digits}.
inline constexpr const char* kAdapterBaseFile = "base.json";

/// Fingerprint of the safetensors files of a Hugging Face directory, those above 64 MiB by samples
/// (hash_file). The same values in other files or another dtype give another one.
std::string weights_fingerprint(const std::filesystem::path& base);

/// Writes base.json into an adapter's folder. Throws Error on a full disk.
void write_adapter_base(const std::filesystem::path& adapter, const std::string& base,
                        const std::string& fingerprint);

/// Throws InputError where the adapter's folder says that it was trained over other weights than
/// those in `base`. Adapters without base.json, of other tools and earlier versions, are taken.
void require_same_base(const std::filesystem::path& adapter, const std::filesystem::path& base);

}  // namespace weft
