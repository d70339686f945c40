#!/usr/bin/env bash
# cargo: `cargo package` of two members of a workspace verifies the second on what an earlier run left
# of the first.
#
# It builds each package from what would be published, the other members among its dependencies taken
# from packages of the same run, by way of a registry in the target folder. What is in a registry is
# taken to be for ever: what was unpacked from it below CARGO_HOME, and what was built of that, is used
# again for the same package, version and place of the target folder. Whoever changes a member and not
# its version gets the member of before: valid code fails to build, and code that needs what is gone
# passes. It helps to remove both, and neither alone.
#
# Seen, cargo 1.95.0:
#   first: both packages are verified
#   the library has a new function, its user calls it: `cannot find function`, though both build in the workspace
#   without what was built: `cannot find function`
#   without what was unpacked: `cannot find function`
#   without both: both packages are verified
# Fails if that changes. Needs cargo.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export CARGO_HOME=$folder/home CARGO_TARGET_DIR=$folder/target CARGO_TERM_COLOR=never
mkdir -p "$folder"/workspace/{library,user}/src
cd "$folder/workspace"

printf '[workspace]\nresolver = "3"\nmembers = ["library", "user"]\n' > Cargo.toml
member() {
    printf '[package]\nname = "%s"\nversion = "0.1.0"\nedition = "2024"\nlicense = "MIT"\ndescription = "a member"\nrepository = "none"\n' "$1"
}
member finding-member-library > library/Cargo.toml
{
    member finding-member-user
    printf '[dependencies]\nfinding-member-library = { path = "../library", version = "0.1.0" }\n'
} > user/Cargo.toml
echo 'pub fn old() {}' > library/src/lib.rs
echo 'pub fn uses() { finding_member_library::old() }' > user/src/lib.rs

package() {
    timeout 120 cargo package --workspace --allow-dirty > log 2>&1
}

package || { cat log; exit 1; }
echo "first: both packages are verified"

echo 'pub fn new() {}' >> library/src/lib.rs
echo 'pub fn uses() { finding_member_library::new() }' > user/src/lib.rs
timeout 120 cargo build --workspace > log 2>&1 || { cat log; exit 1; }
fails() {
    if package; then
        echo "$1: verified, which is news"
        exit 1
    fi
    grep -q 'cannot find function `new`' log || { cat log; exit 1; }
    echo "$1: \`cannot find function\`$2"
}
fails "the library has a new function, its user calls it" ", though both build in the workspace"

rm -rf "$CARGO_TARGET_DIR"
fails "without what was built" ""

rm -rf "$CARGO_HOME"/registry/src/-*
fails "without what was unpacked" ""

rm -rf "$CARGO_TARGET_DIR" "$CARGO_HOME"/registry/src/-*
package || { cat log; exit 1; }
echo "without both: both packages are verified"
