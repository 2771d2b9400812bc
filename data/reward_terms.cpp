#include "data/reward_terms.h"

#include <cmath>

#include "data/trajectory_store.h"

namespace weft {
namespace {

using OptionalTerm = std::optional<double>;

std::string field_of(const char* name) { return std::string("reward_") + name; }

void add(double& sum, double more) { sum += more; }
void add(OptionalTerm& sum, const OptionalTerm& more) {
  if (more) sum = sum.value_or(0) + *more;
}

void divide(double& sum, double count) { sum /= count; }
void divide(OptionalTerm& sum, double count) {
  if (sum) *sum /= count;
}

void assign(double& term, const OptionalTerm& value) { term = value.value_or(0); }
void assign(OptionalTerm& term, const OptionalTerm& value) { term = value; }

/// Null stands for a number that is not finite.
OptionalTerm finite_number(const Json& json, const std::string& field) {
  const Json value = json.value(field, Json());
  if (!value.is_number() || !std::isfinite(value.get<double>())) return std::nullopt;
  return value.get<double>();
}

/// The column of a term, of a row or of a constant one; null where it has none.
template <class Row>
auto column_of(const std::string& name, Row& row) -> decltype(&row.pass_rate) {
  if (name == "pass") return &row.pass_rate;
  if (name == "complexity") return &row.complexity;
  if (name == "diversity") return &row.diversity;
  return nullptr;
}

}  // namespace

RewardTerms& RewardTerms::operator+=(const RewardTerms& more) {
  visit([](const char*, auto& sum, const auto& term) { add(sum, term); }, *this, more);
  total += more.total;
  return *this;
}

RewardTerms RewardTerms::operator/(double count) const {
  RewardTerms mean = *this;
  visit([count](const char*, auto& term) { divide(term, count); }, mean);
  mean.total /= count;
  return mean;
}

void each_term(const RewardTerms& terms,
               const std::function<void(const std::string& field, double value)>& f) {
  RewardTerms::visit(
      [&f](const char* name, const OptionalTerm& term) {
        if (term) f(field_of(name), *term);
      },
      terms);
}

RewardTerms read_terms(const Json& json) {
  RewardTerms terms;
  RewardTerms::visit(
      [&json](const char* name, auto& term) { assign(term, finite_number(json, field_of(name))); },
      terms);
  return terms;
}

void put_reward(Trajectory& row, const RewardTerms& terms) {
  row.reward = terms.total;
  RewardTerms::visit(
      [&row](const char* name, const OptionalTerm& term) {
        if (double* column = column_of(name, row)) {
          *column = term.value_or(0);
        } else if (term) {
          row.usage[field_of(name)] = *term;
        }
      },
      terms);
}

RewardTerms reward_of(const Trajectory& row) {
  RewardTerms terms = read_terms(row.usage.is_object() ? row.usage : Json::object());
  terms.total = row.reward;
  RewardTerms::visit(
      [&row](const char* name, auto& term) {
        if (const double* column = column_of(name, row)) assign(term, *column);
      },
      terms);
  return terms;
}

}  // namespace weft
