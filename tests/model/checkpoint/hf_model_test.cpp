#include "model/checkpoint/hf_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/count_nonzero.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "model/checkpoint/safetensors.h"
#include "model/ops/cuda/cuda_library.h"
#include "model/transformer/lora.h"
#include "tests/support/fake_device/fake_device.h"
#include "tests/support/input_error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

// A copy of tiny_llama whose config.json may be changed.
class ModelCopy {
 public:
  ModelCopy() {
    fs::copy(test::fixture("tiny_llama"), dir_ / "model");
    config = read_json_file(path() / "config.json");
  }
  fs::path path() const { return dir_ / "model"; }
  std::string refusal() const {
    write_file_atomically(path() / "config.json", config.dump());
    return test::input_error([&] { load_transformer(path().string(), at::kFloat); });
  }
  Json config;

 private:
  test::TempDir dir_;
};

void expect_refusal(const ModelCopy& model, const std::string& part) {
  const std::string got = model.refusal();
  EXPECT_NE(got.find(part), std::string::npos) << got;
}

TEST(HfModel, SavedModelLoadsWithEqualWeights) {
  const test::TempDir dir;
  for (const char* name : {"tiny_llama", "tiny_qwen2", "tiny_qwen3", "tiny_mistral"}) {
    const std::string source = test::fixture(name).string(), copy = (dir / name).string();
    const auto model = load_transformer(source, at::kFloat);
    save_transformer(*model, source, copy);
    const auto again = load_transformer(copy, at::kFloat);
    const auto a = model->hugging_face_views(), b = again->hugging_face_views();
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i].second, b[i].second));
    const auto names = SafetensorsReader::open_directory(copy).names();
    EXPECT_EQ(names, SafetensorsReader::open_directory(source).names());
    for (const char* file : {"config.json", "generation_config.json", "tokenizer.json"}) {
      EXPECT_TRUE(fs::exists(fs::path(copy) / file)) << file;
    }
  }
}

TEST(HfModel, AModelOnADeviceIsSavedToTheSameBytes) {
  const test::TempDir dir;
  const std::string source = test::fixture("tiny_qwen2").string();
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const auto model = load_transformer(source, dtype);
    const std::string name = at::toString(dtype);
    save_transformer(*model, source, (dir / ("cpu" + name)).string());
    model->to(test::fake::device());
    EXPECT_EQ(model->lm_head_weight().device(), test::fake::device());
    save_transformer(*model, source, (dir / ("device" + name)).string());
    EXPECT_EQ(read_file(dir / ("device" + name) / "model.safetensors"),
              read_file(dir / ("cpu" + name) / "model.safetensors"));
  }
}

TEST(HfModel, SavedBf16IsNamedInTheConfig) {
  const test::TempDir dir;
  const std::string source = test::fixture("tiny_llama").string();
  const auto model = load_transformer(source, at::kBFloat16);
  save_transformer(*model, source, (dir / "bf16").string());
  EXPECT_EQ(TransformerConfig::from_directory((dir / "bf16").string()).stored_dtype, "bfloat16");
}

// Every number of the file is one that fp32 holds exactly; bf16 rounds it.
TEST(HfModel, WeightsOfEveryDtypeLoad) {
  for (const at::ScalarType stored : {at::kHalf, at::kBFloat16, at::kFloat}) {
    const ModelCopy model;
    const fs::path file = model.path() / "model.safetensors";
    const auto original = load_transformer(model.path().string(), at::kFloat);
    std::vector<std::pair<std::string, at::Tensor>> tensors;
    for (const auto& [name, view] : original->hugging_face_views()) {
      tensors.emplace_back(name, view.to(stored));
    }
    fs::remove(file);
    write_safetensors(file.string(), tensors);
    for (const at::ScalarType wanted : {at::kFloat, at::kBFloat16}) {
      const auto loaded = load_transformer(model.path().string(), wanted);
      const auto views = loaded->hugging_face_views();
      ASSERT_EQ(views.size(), tensors.size());
      for (size_t i = 0; i < views.size(); ++i) {
        EXPECT_TRUE(at::equal(views[i].second, tensors[i].second.to(wanted))) << views[i].first;
      }
    }
  }
}

TEST(HfModel, SavingNeverOverwrites) {
  const test::TempDir dir;
  const std::string source = test::fixture("tiny_llama").string();
  const auto model = load_transformer(source, at::kFloat);
  EXPECT_THROW(save_transformer(*model, source, dir.path().string()), Error);
  EXPECT_TRUE(fs::is_empty(dir.path()));
}

TEST(HfModel, UnknownArchitectureIsNamedWithTheKnownOnes) {
  ModelCopy model;
  model.config["architectures"] = {"GPT2LMHeadModel"};
  expect_refusal(model, "GPT2LMHeadModel");
  for (const char* known :
       {"LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "MistralForCausalLM"}) {
    expect_refusal(model, known);
  }
}

TEST(HfModel, ConfigMistakesAreNamed) {
  const auto with = [](const char* key, const Json& value) {
    ModelCopy model;
    model.config[key] = value;
    return model.refusal();
  };
  EXPECT_NE(with("hidden_size", "64").find("hidden_size"), std::string::npos);
  EXPECT_NE(with("num_hidden_layers", -1).find("num_hidden_layers"), std::string::npos);
  EXPECT_NE(with("num_attention_heads", 0).find("num_attention_heads"), std::string::npos);
  EXPECT_NE(with("num_key_value_heads", 3).find("num_key_value_heads"), std::string::npos);
  EXPECT_NE(with("hidden_act", "gelu").find("hidden_act"), std::string::npos);
  EXPECT_NE(with("rope_parameters", {{"rope_type", "dynamic"}}).find("dynamic"), std::string::npos);
  EXPECT_NE(with("quantization_config", {{"bits", 4}}).find("quantization_config"),
            std::string::npos);
}

TEST(HfModel, AWindowLimitsTheContext) {
  const auto context_of = [](const char* name, const Json& changes) {
    Json config = read_json_file(test::fixture(name) / "config.json");
    config.update(changes);
    return TransformerConfig::from_json(config, name).max_positions;
  };
  EXPECT_EQ(context_of("tiny_mistral", Json::object()), 256);
  EXPECT_EQ(context_of("tiny_mistral", {{"sliding_window", nullptr}}), 512);
  EXPECT_EQ(context_of("tiny_mistral", {{"sliding_window", 4096}}), 512);
  EXPECT_EQ(context_of("tiny_qwen2", {{"sliding_window", 128}}), 512);
  for (const char* qwen : {"tiny_qwen2", "tiny_qwen3"}) {
    EXPECT_EQ(context_of(qwen, {{"sliding_window", 128}, {"use_sliding_window", true}}), 128);
  }
  Json unsaid = read_json_file(test::fixture("tiny_mistral") / "config.json");
  unsaid.erase("sliding_window");
  unsaid["max_position_embeddings"] = 32768;
  EXPECT_EQ(TransformerConfig::from_json(unsaid, "unsaid").max_positions, 4096);
}

TEST(HfModel, CountsItsWeights) {
  for (const char* name : {"tiny_llama", "tiny_qwen2", "tiny_qwen3", "tiny_mistral"}) {
    const auto model = load_transformer(test::fixture(name).string(), at::kFloat);
    int64_t count = 0;
    for (const NamedParameter& p : model->parameters()) count += p.tensor->numel();
    EXPECT_EQ(model->config().num_parameters(), count) << name;
  }
}

TEST(HfModel, WeightsThatDoNotFitAreNamed) {
  ModelCopy shape;
  shape.config["intermediate_size"] = 32;
  expect_refusal(shape,
                 "mlp.gate_proj.weight: expected floating point [32, 64], got Float [64, 64]");
  ModelCopy more;
  more.config["num_hidden_layers"] = 3;
  expect_refusal(more, "model.layers.2.");
  expect_refusal(more, "missing");
  ModelCopy fewer;
  fewer.config["num_hidden_layers"] = 1;
  expect_refusal(fewer, "is not part of the model");
  ModelCopy cut;
  fs::resize_file(cut.path() / "model.safetensors", 1000);
  expect_refusal(cut, "truncated");
  ModelCopy none;
  fs::remove(none.path() / "model.safetensors");
  expect_refusal(none, "model.safetensors");
}

TEST(HfModel, AHeadThatIsTiedAndAnotherIsRefused) {
  const ModelCopy model;
  const fs::path file = model.path() / "model.safetensors";
  const auto tied = load_transformer(model.path().string(), at::kFloat);
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const auto& [name, view] : tied->hugging_face_views()) {
    tensors.emplace_back(name, view.clone());
  }
  const auto with_head = [&](const at::Tensor& head) {
    auto all = tensors;
    all.emplace_back("lm_head.weight", head);
    fs::remove(file);
    write_safetensors(file.string(), all);
    return model.refusal();
  };
  EXPECT_EQ(with_head(tied->lm_head_weight().clone()), "no error");
  EXPECT_NE(with_head(tied->lm_head_weight() + 1).find("lm_head.weight differs"),
            std::string::npos);
}

TEST(HfModel, RopeIsReadInBothSpellings) {
  ModelCopy model;
  model.config.erase("rope_parameters");
  model.config["rope_theta"] = 500000.0;
  model.config["rope_scaling"] = {{"rope_type", "llama3"},
                                  {"factor", 8.0},
                                  {"low_freq_factor", 1.0},
                                  {"high_freq_factor", 4.0},
                                  {"original_max_position_embeddings", 8192}};
  const auto old = TransformerConfig::from_json(model.config, "config");
  Json rope = model.config["rope_scaling"];
  rope["rope_theta"] = 500000.0;
  model.config.erase("rope_scaling");
  model.config.erase("rope_theta");
  model.config["rope_parameters"] = rope;
  const auto now = TransformerConfig::from_json(model.config, "config");
  for (const auto& c : {old, now}) {
    EXPECT_EQ(c.rope_theta, 500000);
    EXPECT_EQ(c.rope_scaling.kind, RopeScaling::Kind::kLlama3);
    EXPECT_EQ(c.rope_scaling.factor, 8);
  }
}

TEST(HfModel, DtypeNamesAreChecked) {
  EXPECT_EQ(resolve_dtype("f32"), at::kFloat);
  EXPECT_EQ(resolve_dtype("bf16"), at::kBFloat16);
  EXPECT_THROW(resolve_dtype("f64"), InputError);
  EXPECT_THROW(resolve_inference_dtype("f64"), InputError);
  EXPECT_EQ(resolve_inference_dtype("f32"), (InferenceDtype{at::kFloat, false}));
  EXPECT_EQ(resolve_inference_dtype("int8"), (InferenceDtype{resolve_dtype("auto"), true}));
}

TEST(HfModel, WhatIsTrainedCannotBeInt8) {
  try {
    resolve_dtype("int8");
    FAIL();
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("rounded weights have no gradient"), std::string::npos);
  }
}

TEST(LoraFiles, SavedAdapterLoadsWithEqualWeights) {
  const test::TempDir dir;
  const auto config = TransformerConfig::from_directory(test::fixture("tiny_llama").string());
  const auto lora = Lora::load(test::fixture("tiny_llama_lora").string(), config);
  lora->save((dir / "copy").string(), "base");
  const auto again = Lora::load((dir / "copy").string(), config);
  EXPECT_EQ(again->scale(), lora->scale());
  for (int64_t l = 0; l < lora->num_layers(); ++l) {
    EXPECT_TRUE(at::equal(lora->flat(l), again->flat(l)));
  }
  const SafetensorsReader a((dir / "copy" / "adapter_model.safetensors").string());
  const SafetensorsReader b(test::fixture("tiny_llama_lora/adapter_model.safetensors").string());
  EXPECT_EQ(a.names(), b.names());
}

TEST(LoraFiles, AnAdapterOnADeviceIsTheSame) {
  const test::TempDir dir;
  const auto config = TransformerConfig::from_directory(test::fixture("tiny_llama").string());
  const std::string source = test::fixture("tiny_llama_lora").string();
  const auto lora = Lora::load(source, config), moved = Lora::load(source, config);
  moved->to(test::fake::device());
  for (int64_t l = 0; l < lora->num_layers(); ++l) {
    const FusedLinear qkv = FusedLinear::kQkv;
    const LoraUpdate here = lora->update(l, qkv, at::kBFloat16, at::kCPU);
    const LoraUpdate there = moved->update(l, qkv, at::kBFloat16, test::fake::device());
    const int64_t rank = here.a.size(0), more = there.a.size(0) - rank;
    EXPECT_EQ(there.a.size(0) % cuda::kLoraRanks, 0);
    EXPECT_TRUE(at::equal(there.a.narrow(0, 0, rank).cpu(), here.a));
    EXPECT_TRUE(at::equal(there.b.narrow(1, 0, rank).cpu(), here.b));
    EXPECT_EQ(there.a.narrow(0, rank, more).count_nonzero().item<int64_t>(), 0);
    EXPECT_EQ(there.b.narrow(1, rank, more).count_nonzero().item<int64_t>(), 0);
  }
  lora->save((dir / "cpu").string(), "base");
  moved->save((dir / "device").string(), "base");
  EXPECT_EQ(read_file(dir / "device" / "adapter_model.safetensors"),
            read_file(dir / "cpu" / "adapter_model.safetensors"));
}

TEST(LoraFiles, AdapterForAnotherBaseIsRefused) {
  auto config = TransformerConfig::from_directory(test::fixture("tiny_llama").string());
  const std::string dir = test::fixture("tiny_llama_lora").string();
  config.intermediate_size = 32;
  EXPECT_THROW(Lora::load(dir, config), InputError);
  config.intermediate_size = 64;
  config.num_layers = 1;
  EXPECT_THROW(Lora::load(dir, config), InputError);
  config.num_layers = 3;
  EXPECT_THROW(Lora::load(dir, config), InputError);
}

TEST(LoraFiles, FreshAdapterChangesNothing) {
  const auto config = TransformerConfig::from_directory(test::fixture("tiny_llama").string());
  Rng rng(1);
  LoraConfig partial;
  partial.targets = {"q_proj", "v_proj"};
  const Lora lora(config, partial, rng);
  EXPECT_EQ(lora.num_parameters(), 2 * 16 * (64 + 64 + 64 + 32));
  EXPECT_EQ(lora.layer(0).b[0].abs().max().item<float>(), 0);
  EXPECT_NEAR(lora.layer(0).a[0].abs().max().item<float>(), 1 / 8.0, 0.01);
  partial.targets = {"c_attn"};
  EXPECT_THROW(Lora(config, partial, rng), InputError);
}

}  // namespace
}  // namespace weft
