// Small lessons with right answers: a policy that knows their form learns their content from
// rewards alone.
#include <gtest/gtest.h>

#include <map>

#include "tests/trainer/learn/grpo/grpo_toy.h"

namespace weft {
namespace {

using test::Toy;

using Answers = std::map<std::string, std::string>;  // by prompt

/// Reward: the share of the answer's characters that stand where they should.
class AnswerRewards : public test::FakeEnvironment {
 public:
  explicit AnswerRewards(Answers answers) : answers_(std::move(answers)) {}
  void run(RunRequest request, std::function<void(Outcome)> done) override {
    const std::string& answer = answers_.at(request.task->prompt);
    const std::string& completion = request.workflow->code;
    double hits = 0;
    for (size_t i = 0; i < answer.size() && i < completion.size(); ++i) {
      hits += completion[i] == answer[i] ? 1 : 0;
    }
    done(test::rewarded(hits / static_cast<double>(answer.size())));
  }

 private:
  Answers answers_;
};

class Lesson {
 public:
  Lesson(uint64_t seed, const Answers& answers)
      : toy_(seed, /*permute=*/false, /*full=*/true), rewards_(answers) {
    toy_.tasks.clear();
    for (const auto& [prompt, answer] : answers) {
      Task task;
      task.id = task.prompt = prompt;
      toy_.tasks.push_back(task);
    }
    toy_.config.prompts_per_step = toy_.config.samples_per_prompt = 16;
    toy_.config.learn.schedule.lr = 1e-3;
    toy_.config.max_completion_tokens = static_cast<int64_t>(answers.begin()->second.size());
    learn_the_form(seed, answers);
    toy_.trainer = std::make_unique<GrpoTrainer>(toy_.config, *toy_.engine, *toy_.learner, rewards_,
                                                 toy_.tasks, Reference{});
  }

  double reward() { return toy_.trainer->validate(toy_.tasks, /*samples=*/16).reward; }
  void practise(int steps) {
    for (int i = 0; i < steps; ++i) toy_.trainer->step();
  }

 private:
  /// Every answer after every prompt, so that nothing is known of which belongs to which.
  void learn_the_form(uint64_t seed, const Answers& answers) {
    const auto tokenizer = Tokenizer::load(test::fixture("tiny_llama").string());
    std::vector<TrainSequence> all;
    for (const auto& [prompt, own] : answers) {
      for (const auto& [other, answer] : answers) {
        all.push_back({tokenizer->encode(prompt), tokenizer->encode(answer, false)});
      }
    }
    Rng rng(seed);
    for (int step = 0; step < 40; ++step) {
      rng.shuffle(all);
      const std::span<const TrainSequence> batch(all.data(), 64);
      LoggedSum loss;
      toy_.learner->update(batch, supervised_loss(total_loss_weight(batch), loss), 3e-3);
    }
    toy_.engine->weights_changed();
  }

  Toy toy_;
  AnswerRewards rewards_;
};

/// From what knowing the form alone earns, about a quarter in both lessons.
void expect_learnt(const Answers& answers, int steps, double least) {
  for (const uint64_t seed : {1, 2, 3}) {
    Lesson lesson(seed, answers);
    EXPECT_LT(lesson.reward(), .3) << "seed " << seed;
    lesson.practise(steps);
    EXPECT_GT(lesson.reward(), least) << "seed " << seed;
  }
}

TEST(GrpoLessons, TextsAreReversed) {
  Answers answers;
  for (const char a : std::string("ABCD")) {
    for (const char b : std::string("ABCD")) answers[{a, b, '>'}] = {b, a};
  }
  expect_learnt(answers, /*steps=*/100, /*least=*/.7);
}

TEST(GrpoLessons, NumbersOfTwoDigitsAreAdded) {
  Answers answers;
  for (int a = 10; a <= 40; a += 10) {
    for (int b = 11; b <= 14; ++b) {
      answers[std::to_string(a) + "+" + std::to_string(b) + "="] = std::to_string(a + b);
    }
  }
  expect_learnt(answers, /*steps=*/80, /*least=*/.9);
}

}  // namespace
}  // namespace weft
