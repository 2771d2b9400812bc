// Against Hugging Face tokenizers (fixture), and against vectors of llama.cpp (.inp/.out files)
// and of tokenizers 0.22.2 on vocabularies that are kept outside the project.
#include <gtest/gtest.h>

#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "model/tokenizer/scanner.h"
#include "model/tokenizer/tokenizer.h"
#include "tests/support/support.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<int32_t>;

struct Vector {
  std::string text;
  Ids ids;
};

// Texts are separated by a line of their own, ids are one line each.
std::vector<Vector> read_vectors(const std::filesystem::path& stem) {
  const std::string separator = "\n__ggml_vocab_test__\n";
  const std::string texts = read_file(stem.string() + ".inp");
  std::istringstream ids(read_file(stem.string() + ".out"));
  std::vector<Vector> vectors;
  for (size_t at = 0; at < texts.size();) {
    size_t end = texts.find(separator, at);
    if (end == std::string::npos) break;
    Vector vector{texts.substr(at, end - at), {}};
    std::string line;
    std::getline(ids, line);
    std::istringstream numbers(line);
    for (int32_t id; numbers >> id;) vector.ids.push_back(id);
    vectors.push_back(std::move(vector));
    at = end + separator.size();
  }
  return vectors;
}

std::string gunzip(const std::filesystem::path& file) {
  const auto run = test::run_program({"/bin/gzip", "-dc", file.string()});
  if (run.exit_code != 0) throw Error(run.err);
  return run.out;
}

// Texts and ids of one column of the fixture.
std::vector<Vector> fixture_vectors(const char* column) {
  std::vector<Vector> vectors;
  const Json fixture = read_json_file(test::fixture("tokenizer_vectors.json"));
  for (const Json& item : fixture["cases"]) {
    vectors.push_back({item["text"].get<std::string>(), item[column].get<Ids>()});
  }
  EXPECT_EQ(vectors.size(), 20u);
  return vectors;
}

void expect_equal(const Tokenizer& tokenizer, const std::vector<Vector>& vectors) {
  for (const Vector& vector : vectors) {
    EXPECT_EQ(tokenizer.encode(vector.text, false), vector.ids) << vector.text;
  }
}

TEST(DefaultModelTokenizer, EqualsHuggingFace) {
  const auto model = test::source_dir() / "models" / "SmolLM2-135M-Instruct";
  if (!std::filesystem::exists(model)) GTEST_SKIP() << "no default model (scripts/bootstrap.sh)";
  const auto tokenizer = Tokenizer::load(model);
  const Json cases = read_json_file(test::fixture("smollm2_tokenizer.json"))["cases"];
  EXPECT_GE(cases.size(), 200u);
  for (const Json& test_case : cases) {
    const auto ids = test_case["ids"].get<Ids>();
    if (test_case.contains("text")) {
      EXPECT_EQ(tokenizer->encode(test_case["text"].get<std::string>()), ids) << test_case["text"];
    }
    EXPECT_EQ(tokenizer->decode(ids), test_case["decoded"].get<std::string>());
    EXPECT_EQ(tokenizer->decode(ids, true),
              test_case["decoded_without_special"].get<std::string>());
  }
}

class TokenizerVectors : public ::testing::Test {
 protected:
  void SetUp() override {
    if (test::reference_data().empty()) GTEST_SKIP() << "WEFT_TEST_DATA is not set";
    data_ = test::reference_data() / "tokenizers";
  }

  std::unique_ptr<Tokenizer> unpack(const std::string& archive) {
    write_file_atomically(dir_ / "tokenizer.json", gunzip(data_ / archive));
    return Tokenizer::load(dir_.path());
  }

  Json added_tokens(const std::string& config_file) {
    Json added = Json::array();
    const Json config = read_json_file(data_ / config_file);
    for (const auto& [id, token] : config["added_tokens_decoder"].items()) {
      added.push_back(token);
      added.back()["id"] = std::stoi(id);
    }
    return added;
  }

  // Qwen2's vocabulary and merges, put together as its tokenizer.json is.
  std::unique_ptr<Tokenizer> qwen(const Json& added) {
    Json json = {{"normalizer", {{"type", "NFC"}}}, {"decoder", {{"type", "ByteLevel"}}}};
    json["pre_tokenizer"]["type"] = "Sequence";
    json["pre_tokenizer"]["pretokenizers"] = {
        {{"type", "Split"}, {"pattern", {{"Regex", kQwen2Regex}}}, {"behavior", "Isolated"}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}};
    json["added_tokens"] = added;
    Json merges = Json::array();
    std::istringstream lines(gunzip(data_ / "derived-qwen2-merges.txt.gz"));
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty() && !line.starts_with("#version")) merges.push_back(line);
    }
    std::string model = R"({"type":"BPE","merges":)" + dump_json(merges) + R"(,"vocab":)" +
                        gunzip(data_ / "derived-qwen2-vocab.json.gz") + "}";
    std::string text = dump_json(json);
    text.back() = ',';
    write_file_atomically(dir_ / "tokenizer.json", text + "\"model\":" + model + "}");
    return Tokenizer::load(dir_.path());
  }

  std::unique_ptr<Tokenizer> qwen2() { return qwen(added_tokens("qwen2.5-tokenizer_config.json")); }

  // The same vocabulary as tiktoken's ranks, with Qwen2.5's added tokens beside it.
  std::unique_ptr<Tokenizer> qwen2_ranks(const std::string& name) {
    fs::create_directory(dir_ / "ranks");
    write_file_atomically(dir_ / "ranks" / name, gunzip(data_ / "qwen.tiktoken.gz"));
    fs::copy_file(data_ / "qwen2.5-tokenizer_config.json", dir_ / "ranks/tokenizer_config.json");
    return Tokenizer::load(dir_ / "ranks");
  }

  std::filesystem::path data_;
  test::TempDir dir_;
};

TEST_F(TokenizerVectors, Gpt2EqualsLlamaCpp) {
  const auto vectors = read_vectors(data_ / "ggml-vocab-gpt-2.gguf");
  EXPECT_GE(vectors.size(), 40u);
  expect_equal(*unpack("gpt2-tokenizer.json.gz"), vectors);
}

TEST_F(TokenizerVectors, Gpt2EqualsTiktoken) {
  expect_equal(*unpack("gpt2-tokenizer.json.gz"), fixture_vectors("gpt2"));
}

TEST_F(TokenizerVectors, Qwen2EqualsLlamaCpp) {
  const auto vectors = read_vectors(data_ / "ggml-vocab-qwen2.gguf");
  EXPECT_GE(vectors.size(), 40u);
  expect_equal(*qwen2(), vectors);
}

TEST_F(TokenizerVectors, Qwen3EqualsHuggingFace) {
  const auto tokenizer = qwen(added_tokens("qwen3-tokenizer_config.json"));
  expect_equal(*tokenizer, fixture_vectors("qwen3"));
  EXPECT_EQ(tokenizer->decode(Ids{151644, 872, 198}, false), "<|im_start|>user\n");
  EXPECT_EQ(tokenizer->decode(Ids{151644, 872, 198}, true), "user\n");
}

// DeepSeek-R1-Distill-Qwen: Qwen2's vocabulary with other special tokens, of which only the first
// and fourth are hidden.
TEST_F(TokenizerVectors, DistillEqualsLlamaCpp) {
  const char* contents[] = {"<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
                            "<\uFF5CUser\uFF5C>",
                            "<\uFF5CAssistant\uFF5C>",
                            "<\uFF5Cbegin\u2581of\u2581sentence\uFF5C>",
                            "<|EOT|>",
                            "<think>",
                            "</think>"};
  Json added = Json::array();
  for (int i = 0; i < 7; ++i) {
    added.push_back({{"id", 151643 + i},
                     {"content", contents[i]},
                     {"special", i == 0 || i == 3},
                     {"normalized", false}});
  }
  const auto tokenizer = qwen(added);
  const auto vectors = read_vectors(data_ / "ggml-vocab-deepseek-r1-qwen.gguf");
  EXPECT_GE(vectors.size(), 40u);
  expect_equal(*tokenizer, vectors);
  const std::string chat = std::string(contents[1]) + "hi" + contents[2] + "<think>\n";
  const Ids ids = tokenizer->encode(contents[3] + chat, false);
  EXPECT_EQ(ids, (Ids{151646, 151644, 6023, 151645, 151648, 198}));
  EXPECT_EQ(tokenizer->decode(ids, true), chat);
}

TEST_F(TokenizerVectors, TiktokenRanksEqualTheirMerges) {
  const auto ranks = qwen2_ranks("qwen.tiktoken"), merges = qwen2();
  expect_equal(*ranks, read_vectors(data_ / "ggml-vocab-qwen2.gguf"));
  std::istringstream lines(read_file(data_ / "sentencepiece-botchan.txt"));
  for (std::string line; std::getline(lines, line);) {
    ASSERT_EQ(ranks->encode(line), merges->encode(line)) << line;
  }
  for (int32_t id = 0; id < merges->vocab_size(); ++id) {
    ASSERT_EQ(ranks->token_bytes(id), merges->token_bytes(id)) << id;
  }
  EXPECT_EQ(ranks->vocab_size(), merges->vocab_size());
  EXPECT_EQ(ranks->encode("<|im_start|>user"), (Ids{151644, 872}));
  EXPECT_TRUE(ranks->is_special(151644));
}

// The name that Llama-3's ranks have.
TEST_F(TokenizerVectors, TiktokenRanksAreToldFromASentencePieceModel) {
  EXPECT_EQ(qwen2_ranks("tokenizer.model")->encode(" Hello world"), (Ids{21927, 1879}));
}

TEST_F(TokenizerVectors, LlamaSentencePieceEqualsLlamaCpp) {
  const auto vectors = read_vectors(data_ / "ggml-vocab-llama-spm.gguf");
  EXPECT_GE(vectors.size(), 40u);
  expect_equal(*Tokenizer::load(data_ / "llama2-tokenizer.model"), vectors);
  expect_equal(*unpack("llama2-tokenizer.json.gz"), vectors);
}

TEST_F(TokenizerVectors, SentencePieceAddsBosAndDropsTheDummyPrefix) {
  const auto tokenizer = Tokenizer::load(data_ / "llama2-tokenizer.model");
  const Ids ids = tokenizer->encode("Hello world</s>");
  EXPECT_EQ(ids, (Ids{1, 15043, 3186, 2}));
  EXPECT_EQ(tokenizer->decode(ids, true), "Hello world");
  EXPECT_EQ(tokenizer->decode(ids), "<s> Hello world</s>");
  EXPECT_EQ(tokenizer->encode("</s>", false, false).front() == 2, false);
}

TEST_F(TokenizerVectors, SentencePieceReadsUnigramModels) {
  const auto tokenizer = Tokenizer::load(data_ / "sentencepiece-test_model.model");
  std::istringstream lines(read_file(data_ / "sentencepiece-botchan.txt"));
  std::string line;
  for (int i = 0; i < 200 && std::getline(lines, line); ++i) {
    const Ids ids = tokenizer->encode(line, false);
    StreamDecoder decoder(*tokenizer);
    std::string streamed;
    for (const int32_t id : ids) streamed += decoder.push(id);
    EXPECT_EQ(streamed + decoder.flush(), tokenizer->decode(ids));
  }
}

}  // namespace
}  // namespace weft
