#include "trainer/learn/sft/example_line.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/support/input_error.h"

namespace weft {
namespace {

ExampleLine parse(const std::string& line, TrainTurns turns = TrainTurns::kLast) {
  FieldCounts further;
  return parse_example_line(parse_json_row(line, "f:1"), "f:1", turns, further);
}

std::vector<bool> trained(const ExampleLine& example) {
  std::vector<bool> result;
  for (const auto& turn : example.turns) result.push_back(turn.trained);
  return result;
}

using Flags = std::vector<bool>;

const std::string kTwoRounds =
    R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},)"
    R"({"role":"user","content":"c"},{"role":"assistant","content":"d"}]})";

TEST(ExampleLine, TrainsTheLastTurnOrEveryOneOfTheAssistant) {
  EXPECT_EQ(trained(parse(kTwoRounds)), (Flags{false, false, false, true}));
  EXPECT_EQ(trained(parse(kTwoRounds, TrainTurns::kAll)), (Flags{false, true, false, true}));
}

TEST(ExampleLine, AMessageSaysItselfWhetherItIsTrained) {
  const auto line = [](const std::string& first, const std::string& last) {
    return R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b")" +
           first + R"(},{"role":"user","content":"c"},{"role":"assistant","content":"d")" + last +
           "}]}";
  };
  const std::string yes = R"(,"train":true)", no = R"(,"train":false)";
  EXPECT_EQ(trained(parse(line(yes, no))), (Flags{false, true, false, false}));
  EXPECT_EQ(trained(parse(line(yes, ""))), (Flags{false, true, false, true}));
  EXPECT_EQ(trained(parse(line(R"(,"weight":1)", R"(,"weight":0)"))),
            (Flags{false, true, false, false}));
  EXPECT_EQ(trained(parse(line(no, ""), TrainTurns::kAll)), (Flags{false, false, false, true}));
  EXPECT_THROW(parse(line(no, no)), InputError);
}

TEST(ExampleLine, TurnsBehindTheLastTrainedOneMayFollow) {
  const std::string line =
      R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},)"
      R"({"role":"user","content":"c"}]})";
  EXPECT_EQ(trained(parse(line, TrainTurns::kAll)), (Flags{false, true, false}));
  EXPECT_THROW(parse(line), InputError);
}

TEST(ExampleLine, AGreetingIsContextWhereEveryTurnIsTrained) {
  EXPECT_EQ(trained(parse(R"({"messages":[{"role":"assistant","content":"hi"},)"
                          R"({"role":"user","content":"a"},{"role":"assistant","content":"b"}]})",
                          TrainTurns::kAll)),
            (Flags{false, false, true}));
}

TEST(ExampleLine, ReadsPromptAndCompletionAsTextsAndAsMessages) {
  const ExampleLine texts = parse(R"({"prompt":"a","completion":"b"})");
  EXPECT_FALSE(texts.is_conversation());
  EXPECT_TRUE(texts.has_prompt);
  EXPECT_EQ(texts.prompt + texts.completion, "ab");
  const ExampleLine messages =
      parse(R"({"prompt":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},)"
            R"({"role":"user","content":"c"}],"completion":[{"role":"assistant","content":"d"},)"
            R"({"role":"tool","content":"e"},{"role":"assistant","content":"f"}]})");
  EXPECT_EQ(trained(messages), (Flags{false, false, false, true, false, true}));
}

TEST(ExampleLine, ReadsShareGptAndPlainText) {
  const ExampleLine shared =
      parse(R"({"conversations":[{"from":"system","value":"s"},{"from":"human","value":"a"},)"
            R"({"from":"gpt","value":"b"}]})");
  EXPECT_EQ(trained(shared), (Flags{false, false, true}));
  EXPECT_EQ(shared.turns[1].message, (Json{{"role", "user"}, {"content", "a"}}));
  const ExampleLine text = parse(R"({"text":"abc"})");
  EXPECT_FALSE(text.has_prompt);
  EXPECT_EQ(text.completion, "abc");
}

TEST(ExampleLine, ReadsToolsCallsAndTheirAnswers) {
  const ExampleLine example = parse(
      R"({"tools":[{"type":"function","function":{"name":"add","parameters":{}}}],"messages":[)"
      R"({"role":"user","content":"1+1?"},{"role":"assistant","content":null,"tool_calls":[)"
      R"({"id":"c1","type":"function","function":{"name":"add","arguments":"{\"a\": 1}"}}]},)"
      R"({"role":"tool","tool_call_id":"c1","name":"add","content":"2"},)"
      R"({"role":"assistant","content":"2","reasoning_content":null,"tool_calls":null}]})");
  EXPECT_EQ(example.tools.size(), 1u);
  const Json& call = example.turns[1].message;
  EXPECT_TRUE(call["content"].is_null());
  EXPECT_EQ(call["tool_calls"][0]["function"]["arguments"], (Json{{"a", 1}}));
  EXPECT_EQ(example.turns[2].message["tool_call_id"], "c1");
  EXPECT_EQ(example.turns[3].message, (Json{{"role", "assistant"}, {"content", "2"}}));
}

TEST(ExampleLine, CountsFieldCountsAndThoseOfOtherForms) {
  FieldCounts further;
  const Json line = parse_json_row(
      R"({"prompt":"p","prompt_id":7,"text":null,"meta":{"a":1},"source":"s","messages":[)"
      R"({"role":"user","content":"a","id":1},{"role":"assistant","content":"b","id":2}]})",
      "f:1");
  parse_example_line(line, "f:1", TrainTurns::kLast, further);
  EXPECT_EQ(further,
            (FieldCounts{{"prompt", 1}, {"prompt_id", 1}, {"source", 1}, {"message.id", 2}}));
}

TEST(ExampleLine, ReadsAWeight) {
  EXPECT_EQ(parse(R"({"text":"a","weight":0.25})").weight, 0.25);
  EXPECT_EQ(parse(R"({"text":"a","weight":0})").weight, 0);
  EXPECT_EQ(parse(R"({"text":"a","weight":null})").weight, 1);
}

std::string messages(const std::string& rest) {
  return R"({"messages":[{"role":"user","content":"a"},)" + rest + "]}";
}

TEST(ExampleLine, NamesPlaceAndFieldOfWhatIsWrong) {
  const std::string answer = R"({"role":"assistant","content":"b"})";
  const struct {
    std::string line;
    const char* expected;
  } cases[] = {
      {"[1]", "f:1: expected an object, got an array"},
      {"{}", "got the fields none"},
      {R"({"chosen":"a","rejected":"b"})", "got the fields \"chosen\", \"rejected\""},
      {R"({"prompt":"a"})", "\"completion\": expected a string, got nothing"},
      {R"({"prompt":"a","completion":""})", "\"completion\": expected text to train"},
      {R"({"text":""})", "\"text\": expected text to train"},
      {R"({"prompt":"a","completion":[]})", "\"completion\": expected a string, got an array"},
      {R"({"prompt":[],"completion":[]})", "\"prompt\": expected at least one message"},
      {R"({"prompt":[)" + answer + R"(],"completion":[)" + answer + "]}",
       "got one of the assistant"},
      {R"({"messages":"a"})", "\"messages\": expected an array, got a string (\"a\")"},
      {R"({"messages":[]})", "turns that end with one of the assistant"},
      {R"({"messages":[1]})", "messages[0]: expected an object, got an integer"},
      {messages(R"({"role":"usr","content":"b"})"),
       "messages[1]: field \"role\": expected system, user, assistant or tool, got a string "
       "(\"usr\")"},
      {messages(R"({"role":"assistant","content":7})"),
       "messages[1]: field \"content\": expected a string, got an integer (7)"},
      {messages(R"({"role":"assistant","content":null})"),
       "\"content\": expected a string, got null"},
      {messages(R"({"role":"assistant","content":""})"), "got an empty one"},
      {messages(R"({"role":"assistant","contnet":"b"})"), "did you mean \"content\"?"},
      {messages(R"({"role":"assistant","content":"b","thinking":"t"})"),
       "write it as \"reasoning_content\""},
      {messages(R"({"role":"assistant","content":"b","train":2})"),
       "\"train\": expected 0, 1, true or false, got an integer (2)"},
      {messages(R"({"role":"assistant","content":"b","train":1,"weight":0})"), "contradict"},
      {messages(R"({"role":"user","content":"b","train":true},)" + answer), "messages[1]: asks"},
      {messages(R"({"role":"assistant","tool_calls":{}})"), "\"tool_calls\": expected an array"},
      {messages(
           R"({"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"[1"}}]})"),
       "tool_calls[0]: field \"arguments\": expected an object or the JSON of one"},
      {R"({"text":"a","weight":-1})", "\"weight\": expected 0 or a number in [1e-30, 1e30]"},
      {R"({"text":"a","weight":1e300})", "got a fractional number (1e+300)"},
      {R"({"text":"a","weight":"1"})", "\"weight\": expected a number, got a string"},
      {R"({"text":"a","wieght":1})", "did you mean \"weight\"?"},
      {R"({"text":"a","chat_template_kwargs":{}})", "field \"chat_template_kwargs\" is not read"},
      {R"({"conversations":[{"from":"function_call","value":"x"}]})",
       "conversations[0]: field \"from\": expected human, gpt, system or tool"},
  };
  for (const auto& c : cases) {
    const std::string error = test::input_error([&] { parse(c.line); });
    EXPECT_NE(error.find(c.expected), std::string::npos) << c.line << "\n" << error;
    EXPECT_EQ(error.rfind("f:1: ", 0), 0u) << error;
  }
}

}  // namespace
}  // namespace weft
