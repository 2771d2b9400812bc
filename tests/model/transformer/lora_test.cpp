// Adapters as PEFT writes them: what is read as it is meant, and what is refused by name.
#include "model/transformer/lora.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TransformerConfig shape() {
  return TransformerConfig::from_directory(test::fixture("tiny_llama").string());
}

/// The adapter of the fixtures (rank 4, alpha 8) with other fields in its config.
class PeftDirectory : public testing::Test {
 protected:
  void edit(const std::function<void(Json&)>& change) {
    fs::remove_all(dir_ / "adapter");
    fs::copy(test::fixture("tiny_llama_lora"), dir_ / "adapter");
    Json config = read_json_file(dir_ / "adapter" / "adapter_config.json");
    change(config);
    write_file_atomically(dir_ / "adapter" / "adapter_config.json", dump_json(config));
  }
  std::unique_ptr<Lora> load() const { return Lora::load((dir_ / "adapter").string(), shape()); }

  test::TempDir dir_;
};

TEST_F(PeftDirectory, IsScaledByTheRankOrByItsRoot) {
  edit([](Json&) {});
  EXPECT_EQ(load()->scale(), 2);
  edit([](Json& config) { config["use_rslora"] = true; });
  const auto lora = load();
  EXPECT_EQ(lora->scale(), 4);
  const LoraUpdate rooted = lora->update(0, FusedLinear::kO, at::kFloat, at::kCPU);
  edit([](Json& config) { config["lora_alpha"] = 16; });
  EXPECT_TRUE(load()->update(0, FusedLinear::kO, at::kFloat, at::kCPU).b.equal(rooted.b));
}

TEST_F(PeftDirectory, KeepsItsScaleWhenItIsSavedAgain) {
  for (const bool rooted : {true, false}) {
    edit([rooted](Json& config) { config["use_rslora"] = rooted; });
    const std::string copy = (dir_ / (rooted ? "rooted" : "plain")).string();
    load()->save(copy, "tiny_llama");
    EXPECT_EQ(read_json_file(fs::path(copy) / "adapter_config.json")["use_rslora"], rooted);
    EXPECT_EQ(Lora::load(copy, shape())->scale(), rooted ? 4 : 2);
  }
}

TEST_F(PeftDirectory, IsRefusedByTheNameOfWhatItNeedsBeyondLora) {
  const std::pair<const char*, Json> cases[] = {
      {"lora_bias", true},
      {"use_qalora", true},
      {"use_bdlora", {{"target_modules_bd_a", Json::array()}}},
      {"kasa_config", {{"beta", 1}}},
      {"alora_invocation_tokens", {1, 2}},
      {"rank_pattern", {{"q_proj", 8}}},
      {"alpha_pattern", {{"q_proj", 8}}},
      {"layers_to_transform", {0}},
      {"modules_to_save", {"lm_head"}},
      {"layer_replication", {{0, 1}}},
      {"of_a_later_version", 3}};
  for (const auto& [field, value] : cases) {
    edit([&, &field = field, &value = value](Json& config) { config[field] = value; });
    EXPECT_THAT([&] { load(); },
                ThrowsMessage<InputError>(HasSubstr(std::string(field) + ": expected none")));
  }
}

TEST_F(PeftDirectory, OfAnotherMethodOrOverAnotherBaseIsRefused) {
  for (const auto& [field, value] : {std::pair("peft_type", "IA3"),
                                     {"peft_type", "LOHA"},
                                     {"bias", "all"},
                                     {"init_lora_weights", "pissa"}}) {
    edit([&, &field = field, &value = value](Json& config) { config[field] = value; });
    EXPECT_THAT([&] { load(); },
                ThrowsMessage<InputError>(HasSubstr(std::string(field) + ": exp")));
  }
}

// As PEFT: fan_in_fan_out is taken for false where layers are linear.
TEST_F(PeftDirectory, FieldsThatSayNothingOfItsWeightsAreTaken) {
  edit([](Json& config) {
    config["fan_in_fan_out"] = true;
    config["layers_to_transform"] = nullptr;
    config["init_lora_weights"] = "gaussian";
    config["lora_dropout"] = 0.1;
    config["of_a_later_version"] = false;
  });
  EXPECT_EQ(load()->scale(), 2);
}

}  // namespace
}  // namespace weft
