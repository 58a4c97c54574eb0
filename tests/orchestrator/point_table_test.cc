#include "orchestrator/point_table.h"

#include <catch2/catch.hpp>

#include "core/failure.h"

using namespace sweep;

namespace {

const char* const kRuns =
    "model,params,flop,\"loss (nats)\",err\n"
    "s,1e6,6e12,3.5,40\n"
    "m,1e7,6e14,3.0,30\n"
    "m,1e7,6e15,2.9,\n"
    "l,1e8,6e16,2.5,20\n";

std::vector<PointGroup> Groups(const std::string& csv,
                               const PointQuery& query,
                               const std::string& law = "power") {
  return MakeGroups(ParseCsv(csv, "t.csv"), query, FindLaw(law));
}

std::string FailureOf(const std::string& csv,
                      const PointQuery& query,
                      FailureCode code = FailureCode::kUsage) {
  try {
    (void)Groups(csv, query);
  } catch (const Failure& failure) {
    CHECK(failure.code() == code);
    return failure.what();
  }
  return "no failure";
}

}  // namespace

TEST_CASE("A map names variables and the observable as columns or expressions") {
  const auto groups = Groups(kRuns, {.map = "C=flop/1e12,L=\"loss (nats)\""});
  REQUIRE(groups.size() == 1);
  CHECK(groups[0].points.observable == "L");
  CHECK(groups[0].points.Column("C") == std::vector<double>{6, 600, 6000, 60000});
  CHECK(groups[0].points.y == std::vector<double>{3.5, 3.0, 2.9, 2.5});
}

TEST_CASE("A mapped variable can be used in the next expression, unless a column has its name") {
  const auto groups = Groups(kRuns, {.map = "N=params,C=flop/(6*N),L='max(err,1)/100'"});
  CHECK(groups[0].points.Column("C") == std::vector<double>{1e6, 1e7, 1e8});
  const auto column = Groups("N,flop,err\n2,12,1\n3,36,1\n", {.map = "N=10*N,C=flop/N,L=err"});
  CHECK(column[0].points.Column("C") == std::vector<double>{6, 12});
}

TEST_CASE("Rows without a number are left out with the reason, and those that --where drops") {
  const auto groups =
      Groups(kRuns, {.map = "C=flop,E=err/100", .where = {"flop>1e13", "model!=l"}});
  REQUIRE(groups[0].excluded.size() == 3);
  CHECK(groups[0].excluded[0].label == "line 2 (s)");
  CHECK(groups[0].excluded[0].reason == "--where flop>1e13");
  CHECK(groups[0].excluded[1].reason == "no err");
  CHECK(groups[0].excluded[2].reason == "--where model!=l");
  CHECK(groups[0].points.labels == std::vector<std::string>{"line 3 (m)"});
}

TEST_CASE("--by makes one group for each value, in order of appearance") {
  const auto groups = Groups(kRuns, {.map = "C=flop,L=params", .by = {"model"}});
  REQUIRE(groups.size() == 3);
  CHECK(groups[1].group == Json{{"model", "m"}});
  CHECK(groups[1].points.size() == 2);
  CHECK(groups[1].rows == std::vector<std::size_t>{1, 2});
}

TEST_CASE("Without a map the store's columns and key are taken, and errors from rising metrics") {
  const auto groups = Groups(
      "curve,task,eval_dataset,metric,compute_gmacs,value,point_kind\n"
      "a,t,s,acc1,10,0.25,final\n"
      "a,t,s,acc1,20,0.75,intermediate\n"
      "a,t,s,loss,10,3,final\n",
      {});
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].points.observable == "E");
  CHECK(groups[0].points.y == std::vector<double>{0.75});
  CHECK(groups[0].excluded[0].reason == "a point of kind intermediate, not final");
  CHECK(groups[1].points.observable == "L");
  CHECK(groups[1].group.at("metric") == "loss");
}

TEST_CASE("Of a curve with branches the branches are fitted, never their trunk") {
  const std::string head = "C,L,curve,point_kind\n";
  const std::string branches = "1,3,a,cooldown\n2,2.5,a,cooldown\n";
  const PointQuery query = {.map = "C=C,L=L"};
  const auto cooled = Groups(head + branches + "4,2.7,a,trunk\n1,9,a,intermediate\n", query);
  CHECK(cooled[0].kind == "cooldown");
  CHECK(cooled[0].points.y == std::vector<double>{3, 2.5});
  CHECK(cooled[0].kinds_left_out == KindCounts{{"trunk", 1}});
  CHECK(cooled[0].warnings.empty());

  // Whichever whole recipe has more points; of as many, the branches.
  CHECK(Groups(head + branches + "1,3,a,final\n2,2,a,final\n", query)[0].kind == "cooldown");
  const auto ordinary = Groups(head + branches + "1,3,a,final\n2,2,a,final\n4,1,a,final\n", query);
  CHECK(ordinary[0].kind == "final");
  CHECK(ordinary[0].kinds_left_out == KindCounts{{"cooldown", 2}});
  CHECK_THAT(ordinary[0].warnings.at(0), Catch::Contains("2 of kind cooldown left out"));

  // Each group decides for itself, on the rows that filters leave.
  auto by_curve = query;
  by_curve.by = {"curve"};
  const auto two = Groups(head + branches + "1,3,b,final\n", by_curve);
  CHECK(two[1].kind == "final");
  auto filtered = query;
  filtered.where = {"C>1.5"};
  CHECK(Groups(head + branches + "1,3,a,final\n1,2,a,final\n4,1,a,trunk\n", filtered)[0].kind ==
        "cooldown");
  // A trunk alone is nothing to fit, but may be asked for.
  CHECK(Groups(head + "4,2.7,a,trunk\n", query).empty());
  CHECK(Groups(head + "4,2.7,a,trunk\n", {.map = "C=C,L=L", .kind = "trunk"})[0].rows.size() == 1);
}

TEST_CASE("Points of different schedules are fitted together only with a warning") {
  const auto groups = Groups("C,L,schedule\n1,3,cosine\n2,2,constant\n", {.map = "C=C,L=L"});
  REQUIRE(groups[0].warnings.size() == 1);
  CHECK_THAT(groups[0].warnings[0], Catch::Contains("constant, cosine"));
}

TEST_CASE("Names the table or the law does not have are refused with those there are") {
  CHECK_THAT(FailureOf(kRuns, {.map = "C=flops,L=err"}),
             Catch::Contains("no column 'flops'") && Catch::Contains("model, params"));
  CHECK_THAT(FailureOf(kRuns, {.map = "C=flop"}), Catch::Contains("needs an observable"));
  CHECK_THAT(FailureOf(kRuns, {.map = "L=err"}), Catch::Contains("--map lacks C"));
  CHECK_THAT(FailureOf(kRuns, {.map = "C=flop,L=err,E=err"}), Catch::Contains("not 'E'"));
  CHECK_THAT(FailureOf(kRuns, {.map = "C=flop,alpha=err"}), Catch::Contains("not 'alpha'"));
  CHECK_THAT(FailureOf(kRuns, {}), Catch::Contains("--map is needed"));
  CHECK_THAT(FailureOf(kRuns, {.map = "C=flop,L=err", .by = {"family"}}),
             Catch::Contains("--by: no column 'family'"));
}

TEST_CASE("Text where a number is needed is refused with its line") {
  CHECK_THAT(FailureOf("C,L\n1,2\n2,56%\n", {.map = "C=C,L=L"}, FailureCode::kData),
             Catch::Contains("line 3: column L is '56%'"));
}

TEST_CASE("Assignments are split outside brackets and quotes only") {
  const auto parts = ParseAssignments("N=max(a,b),D='min(c,d)',L=\"x,y\"", "--map");
  REQUIRE(parts.size() == 3);
  CHECK(parts[0].value == "max(a,b)");
  CHECK(parts[1].value == "min(c,d)");
  CHECK(parts[2].value == "\"x,y\"");
  CHECK_THROWS_AS(ParseAssignments("N", "--map"), Failure);
  CHECK_THROWS_AS(ParseAssignments("=3", "--map"), Failure);
}
