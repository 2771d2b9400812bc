#include "model/open_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "model/checkpoint/adapter_base.h"
#include "tests/support/config_sizes.h"
#include "tests/support/input_error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

LocalOptions tiny() {
  LocalOptions options;
  options.model = test::fixture("tiny_llama").string();
  options.dtype = "f32";
  options.engine.kv_mb = 16;
  return options;
}

ModelOptions local(const std::string& dir) {
  ModelOptions options;
  options.model = dir;
  return options;
}

const std::string kAdapter = test::fixture("tiny_llama_lora").string();

std::vector<float> greedy_logprobs(TextModel& model, const std::string& adapter = "") {
  TextRequest request;
  request.prompt = std::vector<int32_t>{1, 5, 9, 2};
  request.adapter = adapter;
  request.sampling.temperature = 0;
  request.sampling.max_tokens = 6;
  request.sampling.ignore_eos = true;
  const TextResponse response = model.complete(std::move(request));
  EXPECT_EQ(response.status, ResponseStatus::kOk) << response.error;
  return response.choices.at(0).logprobs;
}

TEST(OpenModels, AnAdaptersDirectoryIsAModelOverTheBase) {
  OpenModels models(tiny());
  TextModel& adapted = models.open(local(kAdapter));
  EXPECT_EQ(adapted.name(), kAdapter);
  const auto checkpoint = models.open_checkpoint(kAdapter);
  EXPECT_EQ(checkpoint.model, &models.base());
  EXPECT_EQ(greedy_logprobs(adapted), greedy_logprobs(models.base(), checkpoint.adapter));
  EXPECT_NE(greedy_logprobs(adapted), greedy_logprobs(models.base()));
}

TEST(OpenModels, AnAdapterIsLoadedOnceHoweverItIsWritten) {
  OpenModels models(tiny());
  const auto name = models.open_checkpoint(kAdapter).adapter;
  EXPECT_EQ(models.open_checkpoint(kAdapter + "/../tiny_llama_lora").adapter, name);
}

TEST(OpenModels, AnAdapterIsRefusedOverOtherWeightsThanItWasTrainedOver) {
  const test::TempDir dir;
  const auto adapter = dir / "adapter", base = test::fixture("tiny_llama");
  fs::copy(kAdapter, adapter);
  write_adapter_base(adapter, base, weights_fingerprint(base));
  EXPECT_NO_THROW(OpenModels(tiny()).open_checkpoint(adapter));
  write_adapter_base(adapter, "models/other", "0123456789abcdef");
  EXPECT_THAT(test::input_error([&] { OpenModels(tiny()).open_checkpoint(adapter); }),
              testing::AllOf(HasSubstr("expected 0123456789abcdef"), HasSubstr("models/other"),
                             HasSubstr(weights_fingerprint(base))));
}

TEST(OpenModels, AHuggingFaceDirectoryIsAModelOfItsOwn) {
  OpenModels models(tiny());
  TextModel& other = models.open(local(test::fixture("tiny_qwen2").string()));
  EXPECT_NE(&other, &models.base());
  EXPECT_EQ(&other, &models.open(local(test::fixture("tiny_qwen2").string())));
  EXPECT_EQ(&models.open(local(test::fixture("tiny_llama").string())), &models.base());
  EXPECT_EQ(&models.open(ModelOptions{}), &models.base());
}

TEST(OpenModels, AModelMayHaveADtypeOfItsOwn) {
  OpenModels models(tiny());
  ModelOptions worker;
  worker.dtype = "int8";
  TextModel& rounded = models.open(worker);
  EXPECT_NE(&rounded, &models.base());
  EXPECT_EQ(&rounded, &models.open(worker));
  EXPECT_EQ(rounded.name(), models.base().name() + "-int8");
  worker.model = kAdapter;
  EXPECT_NE(greedy_logprobs(models.open(worker)), greedy_logprobs(rounded));
  EXPECT_NE(models.open_checkpoint(kAdapter, "int8").model, models.open_checkpoint(kAdapter).model);
  worker.dtype = "f32";
  worker.model.clear();
  EXPECT_EQ(&models.open(worker), &models.base());
}

TEST(OpenModels, SayWhyAnotherRunMayAnswerOtherwise) {
  test::TempDir dir;
  fs::copy(test::fixture("tiny_llama"), dir / "m");
  LocalOptions options = tiny();
  options.model = (dir / "m").string();
  OpenModels models(options);
  models.base();
  EXPECT_TRUE(models.clock_reasons().empty());
  ModelOptions server;
  server.kind = ModelKind::kRemote;
  server.remote.base_url = "http://127.0.0.1:1/v1";
  server.remote.model = "far";
  models.open(server);
  EXPECT_THAT(models.clock_reasons(), testing::Contains(HasSubstr("a server answers as far")));
  write_file_atomically(dir / "m" / "chat_template.jinja", "{{ strftime_now('%d') }}");
  OpenModels dated(options);
  dated.base();
  EXPECT_THAT(dated.clock_reasons(), testing::Contains(HasSubstr("writes the date")));
}

TEST(OpenModels, UnknownDtypesAreInputErrors) {
  ModelOptions worker;
  worker.dtype = "int4";
  EXPECT_THROW(worker.validate(), InputError);
  LocalOptions options = tiny();
  options.dtype = "int8";
  options.validate();
  options.dtype = "int4";
  EXPECT_THROW(options.validate(), InputError);
}

TEST(OpenModels, CountsTokensWhileOthersAreOpened) {
  OpenModels models(tiny());
  std::atomic<bool> stop{false};
  std::thread counting([&] {
    while (!stop) models.usage();
  });
  greedy_logprobs(models.open(ModelOptions{}));
  models.open(local(test::fixture("tiny_qwen2").string()));
  stop = true;
  counting.join();
  EXPECT_EQ(models.usage()["decoded_tokens"], 6);
}

TEST(OpenModels, AnEngineThatIsThereIsCountedAndServesTheBaseWhereItMay) {
  const LocalOptions options = tiny();
  const auto engine = Engine::from_directory(options.model, options.dtype, options.engine);
  OpenModels sharing(options), apart(options);
  sharing.adopt(*engine, /*as_base=*/true);
  apart.adopt(*engine, /*as_base=*/false);
  EXPECT_EQ(&sharing.open({}), engine.get());
  EXPECT_EQ(&sharing.open(local(options.model + "/../tiny_llama")), engine.get());
  EXPECT_NE(&apart.open({}), engine.get());
  greedy_logprobs(*engine);
  for (const OpenModels* models : {&sharing, &apart}) {
    EXPECT_EQ(models->usage()["decoded_tokens"], engine->stats().decoded_tokens);
  }
}

TEST(OpenModels, AnyOtherDirectoryIsAnInputError) {
  const test::TempDir dir;
  OpenModels models(tiny());
  for (const auto& path : {dir.path(), dir / "nothing"}) {
    try {
      models.open(local(path.string()));
      FAIL() << path;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr(path.string()));
      EXPECT_THAT(error.what(), HasSubstr("adapter_config.json"));
    }
  }
}

TEST(OpenModels, AnAdapterNeedsItsBase) {
  LocalOptions options = tiny();
  options.model = test::fixture("tiny_qwen2").string();
  OpenModels models(options);
  EXPECT_THROW(models.open(local(kAdapter)), InputError);
  EXPECT_THROW(models.open(local(kAdapter)), InputError) << "also when asked again";
}

TEST(ModelOptions, EverySizeIsBounded) {
  test::expect_bounded_sizes<LocalOptions>(Json::object(),
                                           {"threads", "engine.max_batch", "engine.prefill_tokens",
                                            "engine.mixed_tokens", "engine.max_context"});
  test::expect_bounded_sizes<ModelOptions>(Json::object(), {"remote.max_concurrent"});
}

}  // namespace
}  // namespace weft
