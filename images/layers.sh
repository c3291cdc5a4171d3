# Sourced: where the layers of a prefix are, which become the variables IN_<NAME>.

# output_of LAYER   the output folder of the step that is named for a layer
output_of() {
    printenv "IN_$(echo "$1" | tr a-z- A-Z_)"
}

# tree_of LAYER   the folder that its step has made; empty where the layer is
tree_of() {
    echo "$(output_of "$1")/tree"
}

# lay_over FOLDER LAYER...   lay layers over each other, by hard links; no file is in two of them
lay_over() {
    to=$1
    shift
    for layer in "$@"; do
        tree=$(tree_of "$layer")
        [ ! -d "$tree" ] || cp -al "$tree/." "$to/"
    done
}
